//! Block Kit as far as it can be wrong (`https://docs.slack.dev/reference/block-kit/blocks`): types, what each must have, and
//! the limits of lengths.

use serde_json::Value;

/// The most blocks of a message.
const MAX_BLOCKS: usize = 50;

/// What is wrong with the blocks of a message, in Slack's words; nothing for a list that Slack takes.
pub(super) fn check(blocks: &Value) -> Vec<String> {
    let Some(list) = blocks.as_array() else { return vec!["must be an array [json-pointer:/blocks]".to_owned()] };
    if list.len() > MAX_BLOCKS {
        return vec![format!("no more than {MAX_BLOCKS} items allowed [json-pointer:/blocks]")];
    }
    list.iter()
        .enumerate()
        .filter_map(|(at, block)| Some(format!("{} [json-pointer:/blocks/{at}]", wrong(block)?)))
        .collect()
}

fn wrong(block: &Value) -> Option<String> {
    let missing = |field: &str| Some(format!("missing required field: {field}"));
    let kind = block["type"].as_str();
    match kind {
        None => missing("type"),
        Some("header") if block["text"]["type"] != "plain_text" => Some("must be plain_text".to_owned()),
        Some("header") => text(&block["text"], 150),
        Some("section") => match (block.get("text"), block.get("fields").and_then(Value::as_array)) {
            (None, None) => missing("text"),
            (Some(object), None) => text(object, 3000),
            (object, Some(fields)) => {
                if fields.is_empty() || fields.len() > 10 {
                    return Some("must have 1 to 10 fields".to_owned());
                }
                object
                    .and_then(|object| text(object, 3000))
                    .or_else(|| fields.iter().find_map(|field| text(field, 2000)))
            }
        },
        Some("context") => match block["elements"].as_array() {
            None => missing("elements"),
            Some(elements) if elements.is_empty() || elements.len() > 10 => {
                Some("must have 1 to 10 elements".to_owned())
            }
            Some(elements) => {
                elements.iter().filter(|element| element["type"] != "image").find_map(|element| text(element, 3000))
            }
        },
        Some("actions") => block["elements"].is_array().then_some(()).map_or_else(|| missing("elements"), |()| None),
        Some("image") if !block["alt_text"].is_string() => missing("alt_text"),
        Some("image") if !block["image_url"].is_string() && block.get("slack_file").is_none() => missing("image_url"),
        Some("divider" | "image" | "rich_text" | "table" | "video" | "input" | "file" | "markdown") => None,
        Some(other) => Some(format!("unsupported type: {other}")),
    }
}

/// What is wrong with a text object.
fn text(object: &Value, most: usize) -> Option<String> {
    if !matches!(object["type"].as_str(), Some("plain_text" | "mrkdwn")) {
        return Some("must be a text object".to_owned());
    }
    match object["text"].as_str().map(|text| text.chars().count()) {
        None => Some("missing required field: text".to_owned()),
        Some(0) => Some("must be more than 0 characters".to_owned()),
        Some(length) if length > most => Some(format!("must be less than {} characters", most + 1)),
        Some(_) => None,
    }
}
