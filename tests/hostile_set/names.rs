//! Names that would be paths: refused where they are read.

use std::process::Command;

use soloist_tests::binary::soloist;

#[test]
fn a_name_that_is_a_path_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("soloist.toml");
    std::fs::write(folder.path().join("key"), "a-secret-of-some-length").unwrap();
    std::fs::write(folder.path().join("job.wat"), include_str!("../wat/ok.wat")).unwrap();
    let job = |name: &str, lines: &str| {
        format!(
            "[arbiter]\nkind = \"memory\"\n[job.{name}]\nrecord = \"a.example.com\"\nevery = \"1m\"\nmodule = \"job.wat\"\n{lines}"
        )
    };
    let secret = "[secrets.key]\nfile = \"key\"\norigins = [\"https://a.example.com\"]\n";
    let check = |text: String| {
        std::fs::write(&config, text).unwrap();
        let output = Command::new(soloist()).args(["run", "--check", "--config"]).arg(&config).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = check(job("good", "[job.good.grants]\nsecrets = [\"key\"]\n") + secret);
    assert_eq!(code, Some(0), "{said}");
    for (what, text) in [
        ("`../evil`", job("\"../evil\"", "")),
        ("`a/b`", job("\"a/b\"", "")),
        ("`a\\\\0b`", job("\"a\\\\0b\"", "")),
        ("`../key`", job("good", "[job.good.grants]\nsecrets = [\"../key\"]\n") + secret),
        ("`../key`", job("good", "") + &secret.replace("secrets.key", "secrets.\"../key\"")),
        ("`no-such-key`", job("good", "[job.good.grants]\nsecrets = [\"no-such-key\"]\n") + secret),
        ("file:///etc/passwd", job("good", "").replace("job.wat", "file:///etc/passwd")),
        ("oci://localhost:5000/../x:1", job("good", "").replace("job.wat", "oci://localhost:5000/../x:1")),
        ("oci://localhost:5000/a:../../b", job("good", "").replace("job.wat", "oci://localhost:5000/a:../../b")),
        ("dns:../../etc/passwd", job("good", "").replace("job.wat", "dns:../../etc/passwd")),
    ] {
        let (code, said) = check(text);
        let first = what.trim_matches('`');
        assert!(code == Some(2) && said.contains(first), "{what}: {code:?} {said}");
        assert!(!said.contains("a-secret-of"), "{said}");
    }
}
