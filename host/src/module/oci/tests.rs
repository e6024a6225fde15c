use super::*;

fn parse(text: &str) -> Result<String, SourceError> {
    Image::parse(text).map(|image| image.to_string())
}

#[test]
fn an_image_is_named_with_its_registry_and_by_tag_or_digest() {
    let digest = Digest::of(b"abc");
    for (text, name) in [
        ("//ghcr.io/acme/canary:1.4", "oci://ghcr.io/acme/canary:1.4".to_owned()),
        ("//localhost:5000/canary", "oci://localhost:5000/canary:latest".to_owned()),
        (&format!("//ghcr.io/canary@sha256:{digest}"), format!("oci://ghcr.io/canary@sha256:{digest}")),
    ] {
        assert_eq!(parse(text), Ok(name));
    }
}

#[test]
fn what_is_no_image_is_refused_without_showing_a_password() {
    for text in [
        "",
        "//",
        "ghcr.io/a:1",
        "//ghcr.io",
        "//acme/canary:1",
        "//ghcr.io/Canary:1",
        "//ghcr.io/a:1 2",
        "//ghcr.io/a@md5:00",
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.hint().contains("oci://"), "{error}");
    }
    let long = format!("//ghcr.io/a@sha512:{}", "0".repeat(128));
    assert!(parse(&long).unwrap_err().to_string().contains("SHA-256"));
    for text in [
        "//me:hush@ghcr.io/a:1",
        "//me:hush@sha256:1/a:1",
        "//ghcr.io/a:1?token=hush",
        "//ghcr.io?token=hush/a",
        "//ghcr.io/a:1#hush",
        "//acme/me:hush@ghcr.io/a:1",
        "//ghcr.io/me@hush",
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn only_a_registry_on_this_machine_is_spoken_to_without_tls() {
    for (text, is_local) in [
        ("//localhost/a", true),
        ("//localhost:5000/a", true),
        ("//127.0.0.1:5000/a", true),
        ("//[::1]:5000/a", true),
        ("//[::1]/a", true),
        ("//[2001:db8::1]:5000/a", false),
        ("//10.0.0.1:5000/a", false),
        ("//localhost.example.com/a", false),
        ("//ghcr.io/a", false),
    ] {
        assert_eq!(Image::parse(text).unwrap().is_local(), is_local, "{text}");
    }
}
