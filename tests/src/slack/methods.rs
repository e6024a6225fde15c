//! Methods of the Web API: who asks is checked first, then how, then what, in Slack's order and with its codes.

use axum::http::{Method, header};
use reqwest::Url;
use serde_json::{Map, Value, json};

use super::state::{Channel, Message, State};
use super::{Asked, TOKEN, blocks};

/// The longest text, in characters.
const MAX_TEXT: usize = 40_000;

/// The largest metadata, in bytes.
const MAX_METADATA: usize = 8 * 1024;

/// An answer with `"ok": false`: the code, and what else stands beside it.
struct Refused(&'static str, Map<String, Value>);

impl From<&'static str> for Refused {
    fn from(code: &'static str) -> Self {
        Self(code, Map::new())
    }
}

type Answer = Result<Value, Refused>;

/// What a method answers.
pub(super) fn answer(state: &mut State, name: &str, asked: &Asked<'_>) -> Value {
    let mut warnings = Vec::new();
    let result = arguments(asked, &mut warnings).and_then(|arguments| {
        authorized(asked, &arguments)?;
        match name {
            "auth.test" => Ok(json!({"url": "https://test.slack.com/", "team_id": "T00000000", "bot_id": "B00000000"})),
            "chat.postMessage" => needs(state, "chat:write").and_then(|()| post_message(state, &arguments)),
            "chat.update" => needs(state, "chat:write").and_then(|()| update(state, &arguments)),
            "conversations.history" => {
                needs(state, "channels:history").and_then(|()| history(state, &text_only(&arguments)))
            }
            "conversations.replies" => {
                needs(state, "channels:history").and_then(|()| replies(state, &text_only(&arguments)))
            }
            "conversations.list" => needs(state, "channels:read").map(|()| list(state, &text_only(&arguments))),
            _ => Err("unknown_method".into()),
        }
    });
    let mut object = match result {
        Ok(value) => {
            let mut object = Map::from_iter([("ok".to_owned(), true.into())]);
            object.extend(value.as_object().cloned().unwrap_or_default());
            object
        }
        Err(Refused(code, more)) => {
            let mut object = Map::from_iter([("ok".to_owned(), false.into()), ("error".to_owned(), code.into())]);
            object.extend(more);
            object
        }
    };
    if !warnings.is_empty() {
        object.insert("warning".to_owned(), warnings.join(",").into());
        let metadata = object.entry("response_metadata").or_insert_with(|| json!({}));
        metadata["warnings"] = json!(warnings);
    }
    Value::Object(object)
}

/// The arguments, from the query, a form or JSON.
fn arguments(asked: &Asked<'_>, warnings: &mut Vec<&'static str>) -> Result<Value, Refused> {
    let mut arguments = form(asked.query);
    if *asked.method == Method::GET || asked.body.is_empty() {
        return Ok(Value::Object(arguments));
    }
    let Some((media, has_charset)) = asked.content_type() else { return Err("missing_post_type".into()) };
    match media.as_str() {
        "application/json" => {
            if !has_charset {
                warnings.push("missing_charset");
            }
            let value: Value = serde_json::from_slice(asked.body).map_err(|_| "invalid_json")?;
            arguments.extend(value.as_object().ok_or("json_not_object")?.clone());
        }
        "application/x-www-form-urlencoded" => {
            if has_charset {
                warnings.push("superfluous_charset");
            }
            arguments.extend(form(std::str::from_utf8(asked.body).map_err(|_| "invalid_form_data")?));
        }
        _ => return Err("invalid_post_type".into()),
    }
    Ok(Value::Object(arguments))
}

fn form(text: &str) -> Map<String, Value> {
    let url = Url::parse(&format!("http://x/?{text}")).expect("a query makes no URL wrong");
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect()
}

/// The methods that read take no JSON: what is not a text came by it.
fn text_only(arguments: &Value) -> Value {
    let mut arguments = arguments.clone();
    if let Some(object) = arguments.as_object_mut() {
        object.retain(|_, value| value.is_string());
    }
    arguments
}

fn authorized(asked: &Asked<'_>, arguments: &Value) -> Result<(), Refused> {
    let given = asked.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let in_form = arguments["token"].as_str();
    match given.map(|value| value.strip_prefix("Bearer ").unwrap_or_default()).or(in_form) {
        None | Some("") => Err("not_authed".into()),
        Some(TOKEN) => Ok(()),
        Some(_) => Err("invalid_auth".into()),
    }
}

fn needs(state: &State, scope: &str) -> Result<(), Refused> {
    if state.scopes.iter().any(|given| given == scope) {
        return Ok(());
    }
    let more = json!({"needed": scope, "provided": state.scopes.join(",")});
    Err(Refused("missing_scope", more.as_object().cloned().unwrap_or_default()))
}

/// What `chat.postMessage` and `chat.update` ask of a message's text and blocks.
fn content(arguments: &Value) -> Result<(String, Option<Value>), Refused> {
    let text = arguments["text"].as_str().unwrap_or_default();
    // A form gives blocks as text.
    let shown = match arguments.get("blocks") {
        Some(Value::String(text)) => Some(serde_json::from_str(text).map_err(|_| "invalid_blocks_format")?),
        other => other.cloned(),
    };
    if let Some(shown) = &shown {
        let wrong = blocks::check(shown);
        if !wrong.is_empty() {
            let messages: Vec<String> = wrong.iter().map(|text| format!("[ERROR] {text}")).collect();
            let more = json!({"errors": wrong, "response_metadata": {"messages": messages}});
            return Err(Refused("invalid_blocks", more.as_object().cloned().unwrap_or_default()));
        }
    }
    let is_blank = shown.as_ref().and_then(Value::as_array).is_none_or(Vec::is_empty);
    if text.is_empty() && is_blank {
        return Err("no_text".into());
    }
    if text.chars().count() > MAX_TEXT {
        return Err("msg_too_long".into());
    }
    Ok((text.to_owned(), shown))
}

fn metadata(arguments: &Value) -> Result<Option<Value>, Refused> {
    let value = match arguments.get("metadata") {
        None => return Ok(None),
        Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| "invalid_metadata_format")?,
        Some(value) => value.clone(),
    };
    let flat = |payload: &Map<String, Value>| payload.values().all(|value| !value.is_object());
    if !value["event_type"].is_string() || !value["event_payload"].as_object().is_some_and(flat) {
        return Err("invalid_metadata_format".into());
    }
    if value.to_string().len() > MAX_METADATA {
        return Err("metadata_too_large".into());
    }
    Ok(Some(value))
}

fn open<'a>(state: &'a State, name: Option<&str>) -> Result<&'a Channel, Refused> {
    let channel = state.channel(name.ok_or("channel_not_found")?).ok_or("channel_not_found")?;
    if channel.is_archived {
        return Err("is_archived".into());
    }
    if !channel.is_member {
        return Err("not_in_channel".into());
    }
    Ok(channel)
}

fn post_message(state: &mut State, arguments: &Value) -> Answer {
    let channel = open(state, arguments["channel"].as_str())?;
    let (text, shown) = content(arguments)?;
    let thread_ts = arguments["thread_ts"].as_str().map(str::to_owned);
    let stands = |ts: &String| state.messages.iter().any(|it| it.channel == channel.id && it.ts == *ts);
    if thread_ts.as_ref().is_some_and(|ts| !stands(ts)) {
        return Err("thread_not_found".into());
    }
    let message = Message {
        channel: channel.id.clone(),
        channel_name: channel.name.clone(),
        ts: state.next_ts(),
        text,
        blocks: shown,
        thread_ts,
        metadata: metadata(arguments)?,
        edited: false,
        by_webhook: false,
    };
    let answer = json!({"channel": message.channel, "ts": message.ts, "message": shown_as(&message, false)});
    state.messages.push(message);
    Ok(answer)
}

fn update(state: &mut State, arguments: &Value) -> Answer {
    // An id only: a name is not looked up here.
    let id = arguments["channel"].as_str().unwrap_or_default();
    let channel = state.channels.iter().find(|channel| channel.id == id).ok_or("channel_not_found")?.id.clone();
    let (text, shown) = content(arguments)?;
    let metadata = metadata(arguments)?;
    let ts = arguments["ts"].as_str().unwrap_or_default();
    let mut messages = state.messages.iter_mut();
    let message = messages.find(|it| it.channel == channel && it.ts == ts).ok_or("message_not_found")?;
    if message.by_webhook {
        return Err("cant_update_message".into());
    }
    message.text = text;
    message.blocks = shown;
    message.metadata = metadata.or(message.metadata.take());
    message.edited = true;
    Ok(json!({"channel": message.channel, "ts": message.ts, "text": message.text, "message": shown_as(message, false)}))
}

/// A message as an answer shows it.
fn shown_as(message: &Message, with_metadata: bool) -> Value {
    let mut value = json!({"type": "message", "bot_id": "B00000000", "text": message.text, "ts": message.ts});
    let more = [("blocks", message.blocks.clone()), ("thread_ts", message.thread_ts.clone().map(Value::from))];
    for (name, field) in more {
        if let Some(field) = field {
            value[name] = field;
        }
    }
    if let (true, Some(metadata)) = (with_metadata, &message.metadata) {
        value["metadata"] = metadata.clone();
    }
    value
}

/// A channel by its id, as the methods that read want it.
fn by_id<'a>(state: &'a State, arguments: &Value) -> Result<&'a Channel, Refused> {
    let id = arguments["channel"].as_str().ok_or("channel_not_found")?;
    let channel = state.channels.iter().find(|channel| channel.id == id).ok_or("channel_not_found")?;
    if channel.is_member { Ok(channel) } else { Err("not_in_channel".into()) }
}

/// The messages that fit, at most `limit` of them.
fn page<'a>(messages: impl Iterator<Item = &'a Message>, arguments: &Value, limit: usize) -> Value {
    let oldest = arguments["oldest"].as_str().unwrap_or("0").to_owned();
    let with_metadata = arguments["include_all_metadata"] == "true" || arguments["include_all_metadata"] == "1";
    let limit = arguments["limit"].as_str().and_then(|text| text.parse().ok()).unwrap_or(limit);
    let mut fitting: Vec<Value> =
        messages.filter(|it| it.ts > oldest).map(|it| shown_as(it, with_metadata)).take(limit + 1).collect();
    let has_more = fitting.len() > limit;
    fitting.truncate(limit);
    json!({"messages": fitting, "has_more": has_more})
}

fn history(state: &State, arguments: &Value) -> Answer {
    let id = &by_id(state, arguments)?.id;
    // Newest first, without replies.
    Ok(page(state.messages.iter().rev().filter(|it| it.channel == *id && it.thread_ts.is_none()), arguments, 100))
}

fn replies(state: &State, arguments: &Value) -> Answer {
    let id = &by_id(state, arguments)?.id;
    let ts = arguments["ts"].as_str().ok_or("thread_not_found")?;
    let in_thread = |it: &&Message| it.channel == *id && (it.ts == ts || it.thread_ts.as_deref() == Some(ts));
    if !state.messages.iter().any(|it| it.channel == *id && it.ts == ts) {
        return Err("thread_not_found".into());
    }
    // Oldest first.
    Ok(page(state.messages.iter().filter(in_thread), arguments, 1000))
}

/// Two channels a page, so that whoever wants all of them must turn pages.
fn list(state: &State, arguments: &Value) -> Value {
    let from = arguments["cursor"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
    let page: Vec<Value> = state.channels.iter().skip(from).take(2).map(listed).collect();
    let next = if from + 2 < state.channels.len() { (from + 2).to_string() } else { String::new() };
    json!({"channels": page, "response_metadata": {"next_cursor": next}})
}

fn listed(channel: &Channel) -> Value {
    json!({
        "id": channel.id, "name": channel.name.trim_start_matches('#'), "is_channel": true,
        "is_member": channel.is_member, "is_archived": channel.is_archived,
    })
}
