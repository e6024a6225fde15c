//! A disk that fills under the store: rounds go on, it is said once, and what is read later is whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use soloist::module::Digest;
use soloist_tests::agents::{Event, eventually};
use soloist_tests::guest::wat;

use crate::stage::{LONG, Stage, of_the_store};

/// A file system of its own for an agent's store, of 1 MiB, in a namespace of mounts that is gone with the last agent in it.
const MOUNT: &str = "mount -t tmpfs -o size=1m,mode=700 none \"$1\" && shift && exec \"$@\"";

/// How much of it is left where it is nearly full, in bytes: room for modules of these tests, and not for their machine code.
const LEFT: u64 = 12 << 10;

/// A store on a small disk, as an agent in its namespace sees it.
struct Disk {
    root: PathBuf,
}

impl Disk {
    fn filler(&self) -> PathBuf {
        self.root.join("filler")
    }

    /// Fills it until so much is left.
    fn fill(&self, left: u64) {
        let mut file = fs::File::create(self.filler()).expect("a file");
        let mut size = 0;
        let block = [0; 4096];
        while io::Write::write_all(&mut file, &block).is_ok() {
            size += block.len() as u64;
        }
        file.set_len(size - left).expect("it can be cut");
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).expect("it is there");
    }

    fn files(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.root.join("store").join(folder)).expect("there is a store");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        paths.map(|path| (name(&path), fs::read(&path).expect("it can be read"))).collect()
    }

    /// Whether a module is there, with its machine code; what is there at all is whole.
    fn has(&self, module: &str) -> (bool, bool) {
        for (name, bytes) in self.files("modules") {
            assert_eq!(name, format!("{}.wasm", Digest::of(&bytes)));
        }
        let digest = Digest::of(module.as_bytes()).to_string();
        let has = |folder: &str| self.files(folder).iter().any(|(name, _)| name.starts_with(&digest));
        (has("modules"), has("compiled"))
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root"]
async fn a_disk_that_fills_under_the_store_costs_a_warning_and_nothing_that_is_read_later() {
    let mut stage = Stage::new("[store]\npath = \"disk/store\"\n");
    let mounted = stage.fleet.path("disk");
    fs::create_dir(&mounted).expect("a folder");
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", MOUNT, "sh"]).arg(&mounted).arg(soloist_tests::binary::soloist());
    stage.fleet.start_by(unshare, "alto");
    stage.fleet.loaded("alto").await;
    let pid = stage.fleet.pid("alto");
    let inside = mounted.strip_prefix("/").expect("it is absolute");
    let disk = Disk { root: Path::new(&format!("/proc/{pid}/root")).join(inside) };
    let module = |word: &str| wat("ok.wat").replace("all is well", word);
    let runs = async |stage: &Stage, agent: &str, word: &str| {
        let is_it = || (stage.said(agent, |event| event.kind() == "ran").pop()?.text("summary") == word).then_some(());
        eventually(&format!("`{agent}` says `{word}`"), LONG, async || is_it()).await;
    };
    let warned = |stage: &Stage, agent: &str| {
        stage.said(agent, |event| event.kind() == "store" && event.text("level") == "WARN").len()
    };
    runs(&stage, "alto", "all is well").await;
    assert_eq!((disk.has(&wat("ok.wat")), warned(&stage, "alto")), ((true, true), 0));

    // Nearly full: what is small is kept, and what is large is not, which is said once for all modules.
    disk.fill(LEFT);
    for word in ["all is one!", "all is two!"] {
        stage.put(&module(word));
        runs(&stage, "alto", word).await;
        eventually("it has tried", LONG, async || (warned(&stage, "alto") > 0).then_some(())).await;
        assert_eq!(disk.has(&module(word)), (true, false), "{word}");
    }
    disk.empty();
    disk.fill(0);
    stage.put(&module("all is full"));
    runs(&stage, "alto", "all is full").await;
    assert_eq!((disk.has(&module("all is full")), warned(&stage, "alto")), ((false, false), 1));
    assert_eq!(disk.files("tmp"), [], "nothing is left of what could not be written");

    // An agent that starts there finds what is whole, and makes the rest.
    let mut enter = Command::new("nsenter");
    enter.args(["--target", &pid.to_string(), "--mount"]).arg(soloist_tests::binary::soloist());
    stage.fleet.start_by(enter, "bass");
    stage.fleet.loaded("bass").await;
    runs(&stage, "bass", "all is full").await;
    let damaged = |event: &Event| event.said.to_string().contains("made anew when it is needed");
    assert_eq!((stage.said("bass", damaged).len(), warned(&stage, "bass")), (0, 1));

    disk.empty();
    stage.put(&module("room again!"));
    for agent in ["alto", "bass"] {
        runs(&stage, agent, "room again!").await;
    }
    eventually("it is kept", LONG, async || (disk.has(&module("room again!")) == (true, true)).then_some(())).await;
    let mut enter = Command::new("nsenter");
    enter.args(["--target", &pid.to_string(), "--mount"]).arg(soloist_tests::binary::soloist());
    stage.fleet.start_by(enter, "cello");
    stage.fleet.loaded("cello").await;
    assert_eq!(stage.said("cello", |event| of_the_store(event, "was compiled before")).len(), 1);
    assert_eq!((stage.said("alto", damaged).len(), warned(&stage, "alto"), warned(&stage, "cello")), (0, 1, 0));
}
