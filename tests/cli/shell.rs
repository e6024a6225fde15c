//! Runs the program in a directory of its own, and writes down what it says without what differs from run to run.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use soloist::arbiter::tsig::{Algorithm, Key};
use soloist::dns::server::{self, Options, Running};
use soloist_tests::binary::soloist;
use soloist_tests::hand::{Hand, name};
use tempfile::TempDir;

/// The complete configuration that the project's documentation shows.
pub(crate) const EXAMPLE: &str = r#"[arbiter]
kind = "rfc2136"
server = "192.0.2.1:53"
zone = "example.com"
key = { name = "soloist", algorithm = "hmac-sha256", secret-file = "soloist.key" }

[job.canary]
record = "canary.example.com"
every = "60s"
module = "jobs/canary.wasm"
timeout = "20s"
lease = "30s"
attempts = 3
[job.canary.grants]
http = ["https://api.example.com"]
[job.canary.config]
url = "https://api.example.com/health"
"#;

/// The secret of the key in every shell; 32 bytes.
pub(crate) const SECRET: &str = "aHVzaGh1c2hodXNoaHVzaGh1c2hodXNoaHVzaGh1c2g=";

/// A piece of every other secret that a test writes somewhere. Neither is ever in what the program says.
pub(crate) const HUSH: &str = "hush-hush";

/// The canary's record.
pub(crate) const CANARY: &str = "canary.example.com.";

/// The job of the demo.
pub(crate) const HEARTBEAT: &str = include_str!("../../jobs/heartbeat-wat/heartbeat.wat");

/// A directory with a key, a module and the example.
pub(crate) struct Shell {
    directory: TempDir,
    replacements: Vec<(String, &'static str)>,
    environment: Vec<(String, String)>,
}

impl Shell {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("cli-").tempdir().expect("a directory");
        let path = directory.path().to_str().expect("a path in UTF-8").to_owned();
        let shell = Self { directory, replacements: vec![(path, "[DIR]")], environment: Vec::new() };
        shell.write("soloist.key", SECRET);
        shell.write("soloist.toml", EXAMPLE);
        shell.write("jobs/canary.wasm", HEARTBEAT);
        shell
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder");
        std::fs::write(path, text).expect("the file");
    }

    /// Writes `soloist.toml`: the example with one text in place of another.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        assert!(EXAMPLE.contains(from), "the example has `{from}`");
        self.write("soloist.toml", EXAMPLE.replacen(from, to, 1));
    }

    /// Shows `text` as `shown` from now on.
    pub(crate) fn hide(&mut self, text: impl Into<String>, shown: &'static str) {
        self.replacements.push((text.into(), shown));
    }

    pub(crate) fn set(&mut self, variable: &str, value: &str) {
        self.environment.push((variable.to_owned(), value.to_owned()));
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(soloist());
        let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SOLOIST_"));
        for (name, _) in ours.collect::<Vec<_>>() {
            command.env_remove(name);
        }
        command.env_remove("NO_COLOR").env("SOLOIST_AGENT_NAME", "tester");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().expect("the program starts");
        for text in [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)) {
            assert!(!text.contains(SECRET) && !text.contains(HUSH), "a secret is shown: {text}");
        }
        output
    }

    /// A command and all that it says: `out|` and `err|` stand before the lines of stdout and stderr.
    pub(crate) fn transcript(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let part = |mark: &str, bytes: &[u8]| -> String {
            let text = self.steady(&String::from_utf8_lossy(bytes));
            text.lines().map(|line| format!("{mark}{line}").trim_end().to_owned() + "\n").collect()
        };
        let words: Vec<String> = arguments.iter().map(|word| self.steady(word)).collect();
        format!(
            "$ soloist {}\n{}{}exit code {}\n\n",
            words.join(" "),
            part("out| ", &output.stdout),
            part("err| ", &output.stderr),
            output.status.code().map_or("none".to_owned(), |code| code.to_string()),
        )
    }

    /// Without what differs from run to run.
    fn steady(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.replacements {
            text = text.replace(from, to);
        }
        text = replace(&text, time, "[TIME]");
        text = replace(&text, |rest| hexadecimal_after("tester-", 16, rest), "tester-[RANDOM]");
        text = replace(&text, |rest| digits_before(rest, " ms"), "[N] ms");
        text = replace(&text, |rest| hexadecimal_after("sha256:", 64, rest), "sha256:[DIGEST]");
        text = replace(&text, |rest| hexadecimal_after("sha256 ", 12, rest), "sha256 [DIGEST]");
        text = replace(&text, |rest| hexadecimal_after("module=", 12, rest), "module=[DIGEST]");
        text = replace(&text, |rest| rest.strip_prefix("size     ").map(|size| 9 + digits(size)), "size     [N]");
        text = replace(&text, |rest| rest.strip_prefix("\"size\":").map(|size| 7 + digits(size)), "\"size\":[N]");
        text = replace(&text, |rest| value_of("fence", rest), "fence=[FENCE]");
        text = replace(&text, |rest| value_of("elapsed", rest), "elapsed=[SPAN]");
        text = replace(&text, |rest| rest.strip_prefix("from round ").map(|_| 21), "from round [ROUND]");
        text = replace(&text, |rest| rest.strip_prefix("[TIME] (in ").map(|_| end(rest)), "[TIME] (in [SPAN])");
        replace(&text, |rest| Some(end(rest)).filter(|end| is_past(&rest[..*end])), "[TIME] ([SPAN] ago)")
    }
}

/// Replaces every piece whose length `piece` gives.
fn replace(text: &str, piece: impl Fn(&str) -> Option<usize>, with: &str) -> String {
    let (mut done, mut rest) = (String::new(), text);
    while let Some(character) = rest.chars().next() {
        if let Some(length) = piece(rest) {
            done.push_str(with);
            rest = &rest[length..];
        } else {
            done.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    done
}

/// `2026-01-31T00:00:00.123Z`, with or without the fraction.
fn time(rest: &str) -> Option<usize> {
    const PATTERN: &str = "0000-00-00T00:00:00";
    let fits = |(byte, pattern): (u8, u8)| if pattern == b'0' { byte.is_ascii_digit() } else { byte == pattern };
    if rest.len() <= PATTERN.len() || !rest.bytes().zip(PATTERN.bytes()).all(fits) {
        return None;
    }
    let fraction = rest[PATTERN.len()..].find(|c: char| c != '.' && !c.is_ascii_digit())?;
    rest[PATTERN.len() + fraction..].starts_with('Z').then_some(PATTERN.len() + fraction + 1)
}

fn digits_before(rest: &str, unit: &str) -> Option<usize> {
    let digits = digits(rest);
    (digits > 0 && rest[digits..].starts_with(unit)).then_some(digits + unit.len())
}

fn digits(rest: &str) -> usize {
    rest.bytes().take_while(u8::is_ascii_digit).count()
}

/// So many hexadecimal digits after a word.
fn hexadecimal_after(word: &str, length: usize, rest: &str) -> Option<usize> {
    let hexadecimal = rest.strip_prefix(word)?.get(..length)?;
    hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(word.len() + length)
}

/// `name=value`, to the next space.
fn value_of(name: &str, rest: &str) -> Option<usize> {
    rest.strip_prefix(name)?.strip_prefix('=')?;
    Some(rest.find([' ', '\n']).unwrap_or(rest.len()))
}

fn end(rest: &str) -> usize {
    rest.find(')').map_or(rest.len(), |end| end + 1)
}

fn is_past(text: &str) -> bool {
    text.starts_with("[TIME] (") && text.ends_with(" ago)") && !text.contains('\n')
}

/// A transcript under a heading.
pub(crate) fn titled(what: &str, transcript: &str) -> String {
    format!("# {what}\n{transcript}")
}

/// Pins a text in `tests/snapshots/NAME.snap`.
pub(crate) fn pin(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name.to_owned(), text));
}

/// A zone `example.com`, served in this process, and a shell whose example points there.
pub(crate) struct Zone {
    pub(crate) shell: Shell,
    pub(crate) hand: Hand,
    _server: Running,
}

impl Zone {
    pub(crate) async fn serve() -> Self {
        let mut shell = Shell::new();
        let (server, hand) = serve(&shell.path().join("zone")).await;
        let address = hand.server.to_string();
        shell.configure("192.0.2.1:53", &address);
        shell.hide(address, "[SERVER]");
        Self { shell, hand, _server: server }
    }

    /// Puts these TXT values at the canary's record, instead of all that is there.
    pub(crate) async fn put(&self, values: &[&str]) {
        let strings: Vec<Vec<&[u8]>> = values.iter().map(|value| value.as_bytes().chunks(255).collect()).collect();
        let records: Vec<&[&[u8]]> = strings.iter().map(Vec::as_slice).collect();
        self.hand.overwrite_txt(&name(CANARY), &records).await.expect("the server takes the record");
    }

    /// The TXT values at the canary's record.
    pub(crate) async fn values(&self) -> Vec<String> {
        let records = self.hand.txt(&name(CANARY)).await.expect("the server answers");
        records.iter().map(|txt| String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()).collect()
    }
}

/// Serves the zone from a directory.
pub(crate) async fn serve(data: &Path) -> (Running, Hand) {
    let key = Key::new("soloist", Algorithm::default(), SECRET, "the test").expect("a key");
    let zone = name("example.com.");
    let options = Options::new(
        zone.clone(),
        vec!["127.0.0.1:0".parse().expect("an address")],
        vec![key.clone()],
        data.to_owned(),
    );
    let server = server::start(options).await.expect("the server starts");
    let hand = Hand { server: server.addrs()[0], zone, key };
    (server, hand)
}

/// Seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
}
