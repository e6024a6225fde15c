//! What a registry says of an artifact: manifests, indexes and errors, as far as they are used here.
//!
//! The OCI image specification 1.1 (`manifest.md`, `image-index.md`, `descriptor.md`), and docker's older names of the same.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::shown;

/// The media type of the config of a wasm artifact.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The media type of its layer.
const LAYER: &str = "application/wasm";

/// The media types of a manifest, and of a list of them: the specification's and docker's.
const MANIFEST: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const INDEX: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

/// The version of all of them.
const SCHEMA_VERSION: u64 = 2;

/// What a registry may answer: lists, too, so that one is told for what it is.
pub(super) fn accepted() -> String {
    [MANIFEST, INDEX].concat().join(", ")
}

/// A blob or a manifest, by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    /// In bytes.
    pub(super) size: u64,
    /// In an index: of what the manifest is.
    pub(super) artifact_type: Option<String>,
}

/// A list of manifests.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Index {
    pub(super) manifests: Vec<Descriptor>,
}

/// A manifest.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

impl Manifest {
    /// The one layer of an artifact that has one.
    pub(super) fn only_layer(body: &[u8]) -> Option<Descriptor> {
        let manifest: Self = serde_json::from_slice(body).ok()?;
        <[Descriptor; 1]>::try_from(manifest.layers).ok().map(|[layer]| layer)
    }

    /// The module of a manifest that is one of a wasm artifact. Its type is what it says itself, or else the answer's header.
    ///
    /// # Errors
    /// What it is instead.
    pub(super) fn module(content_type: &str, body: &[u8]) -> Result<Descriptor, String> {
        let manifest = Self::read(content_type, body)?;
        let config = &manifest.config.media_type;
        if config != CONFIG {
            return Err(format!("its config is `{}` and not `{CONFIG}`", shown(config)));
        }
        match <[Descriptor; 1]>::try_from(manifest.layers) {
            Ok([layer]) if layer.media_type == LAYER => Ok(layer),
            Ok([layer]) => Err(format!("its layer is `{}` and not `{LAYER}`", shown(&layer.media_type))),
            Err(layers) => Err(format!("it has {} layers and not one", layers.len())),
        }
    }

    fn read(content_type: &str, body: &[u8]) -> Result<Self, String> {
        let unreadable =
            |error: serde_json::Error| format!("its manifest cannot be read: {}", shown(&error.to_string()));
        let kind: Kind = serde_json::from_slice(body).map_err(unreadable)?;
        let media_type = kind.media_type.as_deref().unwrap_or(content_type);
        let is_list = kind.manifests.is_some() && kind.layers.is_none();
        if INDEX.contains(&media_type) || is_list && MANIFEST.contains(&media_type) {
            return Err(format!("it is a list of images for different platforms (`{media_type}`)"));
        }
        if !MANIFEST.contains(&media_type) {
            return Err(format!("its manifest is `{}`", shown(media_type)));
        }
        if kind.schema_version != Some(SCHEMA_VERSION) {
            let found = kind.schema_version.map_or("no version".to_owned(), |version| format!("version {version}"));
            return Err(format!("its manifest has {found} and not version {SCHEMA_VERSION}"));
        }
        serde_json::from_slice(body).map_err(unreadable)
    }
}

/// What every manifest and every list says of itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    schema_version: Option<u64>,
    media_type: Option<String>,
    layers: Option<IgnoredAny>,
    manifests: Option<IgnoredAny>,
}

/// The first error in an answer (distribution specification, "Error Codes"): its code, and perhaps a message.
pub(super) fn error(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Said>,
    }
    #[derive(Deserialize)]
    struct Said {
        code: String,
        message: Option<String>,
    }
    let errors: Errors = serde_json::from_slice(body).ok()?;
    let first = errors.errors.into_iter().next()?;
    Some(shown(&format!("{} {}", first.code, first.message.unwrap_or_default())).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn manifest() -> Value {
        json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST[0],
            "artifactType": "application/wasm",
            "config": { "mediaType": CONFIG, "digest": DIGEST, "size": 2, "data": "e30=" },
            "layers": [{ "mediaType": LAYER, "digest": DIGEST, "size": 3, "annotations": { "a": "b" } }],
            "subject": { "mediaType": MANIFEST[0], "digest": DIGEST, "size": 4 },
            "annotations": { "org.opencontainers.image.created": "2026-01-01T00:00:00Z" },
        })
    }

    fn module(content_type: &str, manifest: &Value) -> Result<Descriptor, String> {
        Manifest::module(content_type, manifest.to_string().as_bytes())
    }

    #[test]
    fn a_module_is_the_only_layer_and_unknown_fields_are_left_alone() {
        let layer =
            Descriptor { media_type: LAYER.to_owned(), digest: DIGEST.to_owned(), size: 3, artifact_type: None };
        assert_eq!(module("text/plain", &manifest()), Ok(layer.clone()));
        // Without a type of its own, the answer's header has it.
        let mut untyped = manifest();
        untyped.as_object_mut().unwrap().remove("mediaType");
        for kind in MANIFEST {
            assert_eq!(module(kind, &untyped), Ok(layer.clone()));
        }
        assert_eq!(module("text/plain", &untyped).unwrap_err(), "its manifest is `text/plain`");
    }

    #[test]
    fn what_is_no_artifact_is_told_for_what_it_is() {
        let changed = |key: &str, value: Value| {
            let mut manifest = manifest();
            manifest[key] = value;
            module(MANIFEST[0], &manifest).unwrap_err()
        };
        assert_eq!(changed("schemaVersion", json!(1)), "its manifest has version 1 and not version 2");
        assert_eq!(changed("schemaVersion", Value::Null), "its manifest has no version and not version 2");
        assert!(changed("mediaType", json!(INDEX[1])).contains("a list of images"));
        assert!(changed("mediaType", json!("a\u{1b}b")).contains("`a b`"));
        assert!(changed("config", Value::Null).contains("cannot be read"));
        assert!(changed("layers", json!([{ "mediaType": LAYER, "digest": DIGEST, "size": -1 }])).contains("-1"));
        assert!(changed("layers", json!([])).contains("0 layers"));
        let list = json!({ "schemaVersion": 2, "manifests": [] });
        for kind in [MANIFEST[0], INDEX[0]] {
            assert!(module(kind, &list).unwrap_err().contains("a list of images"), "{kind}");
        }
        assert!(Manifest::module(MANIFEST[0], b"<html>").unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn an_error_is_its_code_and_message() {
        for (body, shown) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"not you","detail":{"a":1}},{"code":"X"}]}"#,
                Some("DENIED not you"),
            ),
            (r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#, Some("NAME_UNKNOWN")),
            (r#"{"errors":[]}"#, None),
            (r#"{"errors":[{"code":5}]}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(error(body.as_bytes()).as_deref(), shown, "{body}");
        }
    }
}
