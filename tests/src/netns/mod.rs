//! A network of a test's own: network namespaces on one bridge, with faults on the way. It is gone with the value that
//! stands for it, and nothing of it is ever in the machine's own namespace.

mod slow;

use std::fs::File;
use std::future::Future;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub use self::slow::Slow;

/// What the name of every namespace of ours begins with; the process id and a number follow.
const PREFIX: &str = "soloist-test-";

/// How many places a network has at most.
const MAX_PLACES: usize = 64;

/// Where the test is: the last address of the network, 10.77.0.0/24.
const HERE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);

/// The places, and the bridge that joins them.
#[derive(Debug)]
pub struct Network {
    hub: Namespace,
    places: usize,
}

/// A host of the network: a namespace with one interface.
#[derive(Debug, Clone)]
pub struct Place {
    namespace: Arc<Namespace>,
    address: Ipv4Addr,
}

/// Deleted when it goes out of scope. What still runs in it keeps the kernel's part of it until it ends.
#[derive(Debug)]
struct Namespace(String);

/// Runs a test in a new network, at [`Network::here`]: its sockets, and the processes that it starts itself, are there.
///
/// # Panics
/// The test does, or the network cannot be made: that needs Linux, `ip`, `nft` and root.
pub fn within<F: Future<Output = ()>>(test: impl FnOnce(Network) -> F + Send + 'static) {
    let network = Network::new();
    let hub = network.hub.0.clone();
    // A thread's namespace is its own, and those that it starts inherit it: the machine's other tests stay where they are.
    let there = std::thread::spawn(move || {
        enter(&hub);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
        runtime.block_on(test(network));
    });
    if let Err(panic) = there.join() {
        std::panic::resume_unwind(panic);
    }
}

fn enter(namespace: &str) {
    let file = File::open(Path::new("/run/netns").join(namespace)).expect("the namespace was just made");
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may enter a namespace");
}

impl Network {
    fn new() -> Self {
        delete_abandoned();
        let hub = Namespace::new();
        // With an address of its own: it would take one of its ports', and another one with each new place.
        ip(&format!(
            "-n {hub} link set lo up\n-n {hub} link add bridge address 02:00:00:00:00:fe type bridge\n\
             -n {hub} addr add {HERE}/24 dev bridge\n-n {hub} link set bridge up\n",
            hub = hub.0
        ));
        Self { hub, places: 0 }
    }

    /// Where the test itself is. Faults at a place spare what goes there, so that the test sees what happens.
    pub const fn here(&self) -> Ipv4Addr {
        HERE
    }

    /// A new place.
    ///
    /// # Panics
    /// There are too many, or it cannot be made.
    pub fn place(&mut self) -> Place {
        assert!(self.places < MAX_PLACES, "a network has at most {MAX_PLACES} places");
        self.places += 1;
        let last = u8::try_from(self.places).expect("it is small");
        let place = Place { namespace: Arc::new(Namespace::new()), address: Ipv4Addr::new(10, 77, 0, last) };
        ip(&format!(
            "-n {hub} link add port{last} type veth peer name net0 netns {there}\n\
             -n {hub} link set port{last} master bridge up\n\
             -n {there} link set lo up\n-n {there} addr add {address}/24 dev net0\n-n {there} link set net0 up\n",
            hub = self.hub.0,
            there = place.namespace.0,
            address = place.address
        ));
        place
    }
}

impl Place {
    /// Its address.
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A command that runs this program there, as the same process that it starts.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace.0]).arg(program);
        command
    }

    /// Cuts the place off: no packet comes or goes any more, but those from and to the test.
    pub fn cut_off(&self) {
        self.drop_packets("drop");
    }

    /// Loses so many of a hundred packets that come, and as many of those that go, at random.
    pub fn lose(&self, percent: u8) {
        self.drop_packets(&format!("numgen random mod 100 < {percent} drop"));
    }

    /// Takes the faults away.
    pub fn heal(&self) {
        self.nft("table inet faults\ndelete table inet faults\n");
    }

    fn drop_packets(&self, rule: &str) {
        self.heal();
        self.nft(&format!(
            "table inet faults {{\n\
             chain input {{ type filter hook input priority 0; iif lo accept; ip saddr {HERE} accept; {rule}; }}\n\
             chain output {{ type filter hook output priority 0; oif lo accept; ip daddr {HERE} accept; {rule}; }}\n}}\n"
        ));
    }

    fn nft(&self, rules: &str) {
        let mut nft = self.command(Path::new("nft"));
        feed(nft.args(["-f", "-"]), rules);
    }
}

impl Namespace {
    fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{PREFIX}{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        ip(&format!("netns add {name}\n"));
        Self(name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Where it fails, the next test deletes it.
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).stderr(Stdio::null()).status();
    }
}

/// Deletes what processes left that were killed.
fn delete_abandoned() {
    let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            drop(Namespace(name));
        }
    }
}

/// Does what these lines say, each the arguments of one `ip`.
fn ip(lines: &str) {
    for line in lines.lines() {
        let output = Command::new("ip").args(line.split_whitespace()).output().expect("`ip` is installed");
        assert!(output.status.success(), "`ip {line}` as root: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn feed(command: &mut Command, input: &str) {
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("`ip` is installed");
    child.stdin.take().expect("stdin is piped").write_all(input.as_bytes()).expect("it reads its input");
    let output = child.wait_with_output().expect("a child can be waited for");
    assert!(output.status.success(), "`{input}`: {}", String::from_utf8_lossy(&output.stderr));
}
