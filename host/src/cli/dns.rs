//! `soloist dns`: serve a zone that agents can arbitrate over, and make the key that they sign with.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Context;
use hickory_proto::rr::Name;

use super::keyfile;
use super::output::{self, WithHint as _};
use super::signals::Signals;
use crate::arbiter::tsig::{Algorithm, Key};
use crate::dns::server::{self, Options, ServeError};

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Serve one zone, with signed dynamic updates, until SIGTERM or Ctrl-C.
    Serve(ServeArgs),
    /// Make a new TSIG key, in the form that BIND, nsupdate and dig read too.
    Key(KeyArgs),
}

/// What to serve, where, to whom.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The zone, such as `example.test`.
    #[arg(long, value_name = "NAME")]
    zone: String,
    /// An address and port to listen on, over UDP and TCP; may be given several times.
    #[arg(long, default_value = "127.0.0.1:5353", value_name = "ADDRESS")]
    listen: Vec<SocketAddr>,
    #[command(flatten)]
    secret: SecretArgs,
    /// The key's name.
    #[arg(long, default_value = "soloist", value_name = "NAME")]
    key_name: String,
    /// The key's algorithm: hmac-sha256, hmac-sha384 or hmac-sha512.
    #[arg(long, default_value = "hmac-sha256", value_name = "ALGORITHM")]
    key_algorithm: Algorithm,
    /// The directory that the zone is kept in; made if it is missing.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// What the server calls itself when asked (NSID) [default: its first address].
    #[arg(long, value_name = "TEXT")]
    nsid: Option<String>,
}

/// Where the key's secret is; never on the command line, where others can read it.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct SecretArgs {
    /// The file that holds the key: `soloist dns key --out FILE` makes one.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The environment variable that holds the key.
    #[arg(long, value_name = "VAR")]
    key_env: Option<String>,
}

/// Which key to make.
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    /// The key's name.
    #[arg(long, default_value = "soloist")]
    name: String,
    /// hmac-sha256, hmac-sha384 or hmac-sha512.
    #[arg(long, default_value = "hmac-sha256")]
    algorithm: Algorithm,
    /// A new file for the key, readable by its owner only [default: print it].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// What cannot be served or written, with a hint.
pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve(args).await,
        Command::Key(args) => make_key(&args),
    }
}

async fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    super::descriptors::raise_limit();
    let mut zone = Name::from_str(&args.zone)
        .with_context(|| format!("`{}` is no name of a zone", args.zone))
        .hint("a zone is a domain name, such as `--zone example.test`")?;
    zone.set_fqdn(true);
    let key = read_key(&args)?;
    // From here on no signal kills the process: one that comes before anybody waits is not lost either.
    let mut signals = Signals::new()?;
    let options = Options { nsid: args.nsid, ..Options::new(zone.clone(), args.listen, vec![key], args.data) };
    let data = options.data.clone();
    let mut running = server::start(options).await.or_else(|error| {
        let hint = hint_for(&error);
        Err(error).hint(hint)
    })?;
    let addrs: Vec<String> = running.addrs().iter().map(ToString::to_string).collect();
    tracing::info!(%zone, serial = running.serial(), data = %data.display(), "serving on {} over UDP and TCP", addrs.join(", "));
    let first = running.addrs()[0];
    tracing::info!("try: dig @{} -p {} {zone} SOA", reachable(first), first.port());
    tokio::select! {
        name = signals.next() => tracing::info!("{name}: stopping"),
        error = running.failed() => return Err(error.into()),
    }
    running.stop().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

fn read_key(args: &ServeArgs) -> anyhow::Result<Key> {
    let key = match (&args.secret.key_file, &args.secret.key_env) {
        (Some(path), _) => Key::from_file(&args.key_name, args.key_algorithm, path),
        (None, Some(variable)) => Key::from_env(&args.key_name, args.key_algorithm, variable),
        (None, None) => anyhow::bail!("there is no key: `--key-file` or `--key-env` names one"),
    };
    key.hint("`soloist dns key --out soloist.key` makes a key")
}

/// An address that a client on this machine can ask.
fn reachable(addr: SocketAddr) -> std::net::IpAddr {
    match addr.ip() {
        ip if !ip.is_unspecified() => ip,
        ip if ip.is_ipv4() => std::net::Ipv4Addr::LOCALHOST.into(),
        _ => std::net::Ipv6Addr::LOCALHOST.into(),
    }
}

fn hint_for(error: &ServeError) -> String {
    match error {
        ServeError::Listen { addr, error, .. } => match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!(
                    "another program has port {}: `ss -lntup` shows which; choose another with `--listen`",
                    addr.port()
                )
            }
            io::ErrorKind::PermissionDenied => format!(
                "port {} needs a privilege: give the program CAP_NET_BIND_SERVICE, or `--listen` on a port from 1024",
                addr.port()
            ),
            io::ErrorKind::AddrNotAvailable => {
                format!("this machine has no address {}: `ip address` shows those it has", addr.ip())
            }
            _ => "`--listen` takes an address of this machine and a port, such as `127.0.0.1:5353`".to_owned(),
        },
        ServeError::Zone(_) => "a zone is a domain name below the root, such as `--zone example.test`".to_owned(),
        ServeError::InUse(_) => "stop the other server, or give this one a `--data` directory of its own".to_owned(),
        ServeError::OtherZone { found, .. } => {
            format!("serve it with `--zone {found}`, or give this zone a `--data` directory of its own")
        }
        ServeError::Damaged { path, offset: 0, .. } => {
            format!("put the directory back from a copy; or move `{}` away, and a new zone is made", path.display())
        }
        ServeError::Damaged { path, offset, .. } => format!(
            "put the directory back from a copy; or, to give up everything from there on, keep a copy of the file and cut \
             it with `truncate -s {offset} {}`",
            path.display()
        ),
        ServeError::Data { .. } => "`--data` is a directory that this user may write to".to_owned(),
        ServeError::Nsid(_) => "give a shorter `--nsid`".to_owned(),
        ServeError::Keys(_) | ServeError::NoAddress | ServeError::Sockets(_) => {
            "see `soloist dns serve --help`".to_owned()
        }
    }
}

fn make_key(args: &KeyArgs) -> anyhow::Result<ExitCode> {
    let key = Key::generate(&args.name, args.algorithm).hint("a key's name is a domain name, such as `soloist`")?;
    let name = key.name().to_ascii();
    let name = name.trim_end_matches('.');
    let clause = format!(
        "key \"{name}\" {{\n\talgorithm {};\n\tsecret \"{}\";\n}};",
        key.algorithm().name(),
        key.secret_base64()
    );
    let read = Key::new(&args.name, args.algorithm, &clause, "the new key");
    anyhow::ensure!(
        read.is_ok_and(|read| read.secret_base64() == key.secret_base64()),
        "a key of the name `{name}` could not be read back from its file: choose another name"
    );
    match &args.out {
        None => output::data(&clause),
        Some(path) => {
            keyfile::write(path, &clause)?;
            tracing::info!(name, algorithm = key.algorithm().name(), "wrote a new key to {}", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
