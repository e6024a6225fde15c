//! Incoming webhooks: JSON in, plain text out
//! (`https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks`).

use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::state::{Message, State};
use super::{Asked, blocks};

/// The answer to a request at `/services/T…/C…/…`.
pub(super) fn answer(state: &mut State, path: &str, asked: &Asked<'_>) -> Response {
    match post(state, path, asked) {
        Ok(()) => "ok".into_response(),
        Err((status, code)) => (StatusCode::from_u16(status).unwrap_or_default(), code).into_response(),
    }
}

fn post(state: &mut State, path: &str, asked: &Asked<'_>) -> Result<(), (u16, &'static str)> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let ["services", team, id, secret] = parts[..] else { return Err((404, "no_service")) };
    if team != "T00000000" {
        return Err((404, "no_team"));
    }
    let channel = state.channels.iter().find(|channel| channel.id == id).ok_or((404, "no_service"))?;
    if secret != "geheim" {
        return Err((403, "invalid_token"));
    }
    let is_json = asked.content_type().is_some_and(|(media, _)| media == "application/json");
    if asked.method != Method::POST || !is_json {
        return Err((400, "invalid_payload"));
    }
    let payload: Value = serde_json::from_slice(asked.body).map_err(|_| (400, "invalid_payload"))?;
    if !payload.is_object() {
        return Err((400, "invalid_payload"));
    }
    if channel.is_archived {
        return Err((410, "channel_is_archived"));
    }
    let text = payload["text"].as_str().unwrap_or_default();
    let shown = payload.get("blocks").cloned();
    if text.is_empty() && shown.is_none() {
        return Err((400, "no_text"));
    }
    if shown.as_ref().is_some_and(|shown| !blocks::check(shown).is_empty()) {
        return Err((400, "invalid_blocks"));
    }
    let message = Message {
        channel: channel.id.clone(),
        channel_name: channel.name.clone(),
        ts: state.next_ts(),
        text: text.to_owned(),
        blocks: shown,
        thread_ts: payload["thread_ts"].as_str().map(str::to_owned),
        metadata: None,
        edited: false,
        by_webhook: true,
    };
    state.messages.push(message);
    Ok(())
}
