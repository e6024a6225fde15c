//! Servers as they are written: an address or a name, with a port where it is not 53.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::rr::Name;

use super::pattern::Pattern;
use crate::arbiter::presentation::{name_from, name_text};

/// The port of DNS.
pub(super) const PORT: u16 = 53;

/// A server to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server {
    /// By its address.
    Address(SocketAddr),
    /// By its name, which is looked up first.
    Named(Name, u16),
}

/// `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:5353`.
pub(crate) fn address(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let alone = bare.parse::<IpAddr>().ok().filter(|ip| bare.len() == text.len() || ip.is_ipv6());
    alone.map(|ip| SocketAddr::new(ip, PORT)).or_else(|| text.parse().ok())
}

/// The host and the port of a text that is no address.
fn host(text: &str) -> Result<(&str, u16), String> {
    match text.split_once(':') {
        None => Ok((text, PORT)),
        Some((host, port)) => {
            let port = port.parse::<u16>().ok().filter(|port| *port != 0 && !host.is_empty());
            port.map(|port| (host, port)).ok_or_else(|| "it is neither an address nor a name".to_owned())
        }
    }
}

impl Server {
    /// # Errors
    /// It is no server.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |reason: String| {
            let shown: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
            format!(
                "`{shown}` is no server: {reason}; it is written like `192.0.2.1`, `[2001:db8::1]:53` or `ns1.example.com`"
            )
        };
        if let Some(address) = address(text) {
            return Ok(Self::Address(address));
        }
        let (name, port) = host(text).map_err(wrong)?;
        // What looks like an address is none: resolvers read odd forms of them in their own ways.
        if name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(wrong("it is no address".to_owned()));
        }
        if name.contains('*') {
            return Err(wrong("no server has a `*` in its name".to_owned()));
        }
        Ok(Self::Named(name_from(name).map_err(wrong)?, port))
    }
}

/// What a grant says of servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    /// An address and a port, whatever kind of place it is.
    Address(SocketAddr),
    /// Names, which may stand for private and loopback addresses.
    Named(Pattern, u16),
}

impl Rule {
    /// # Errors
    /// It names no server.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some((pattern, port)) = host(text).ok().filter(|_| text.starts_with('*')) {
            return Ok(Self::Named(pattern.parse()?, port));
        }
        Ok(match Server::parse(text)? {
            Server::Address(address) => Self::Address(address),
            Server::Named(name, port) => Self::Named(Pattern::Exactly(name), port),
        })
    }

    pub(super) fn names(&self, server: &Server) -> bool {
        match (self, server) {
            (Self::Address(granted), Server::Address(asked)) => {
                granted.ip().to_canonical() == asked.ip().to_canonical() && granted.port() == asked.port()
            }
            (Self::Named(pattern, port), Server::Named(name, asked)) => pattern.covers(name) && port == asked,
            _ => false,
        }
    }
}

/// A port, where it is not the usual one.
fn port_text(port: u16) -> String {
    if port == PORT { String::new() } else { format!(":{port}") }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) if address.port() == PORT => write!(f, "{}", address.ip()),
            Self::Address(address) => write!(f, "{address}"),
            Self::Named(name, port) => write!(f, "{}{}", name_text(name), port_text(*port)),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{}", Server::Address(*address)),
            Self::Named(pattern, port) => write!(f, "{pattern}{}", port_text(*port)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_in_every_form() {
        for (text, shown) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:53", "192.0.2.1"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
            ("NS1.example.com.", "ns1.example.com"),
            ("ns1.example.com:5353", "ns1.example.com:5353"),
        ] {
            assert_eq!(Server::parse(text).unwrap().to_string(), shown, "{text}");
            assert_eq!(Rule::parse(text).unwrap().to_string(), shown, "{text}");
        }
        assert_eq!(Rule::parse("*.example.com:5353").unwrap().to_string(), "*.example.com:5353");
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in [
            "",
            ":53",
            "192.0.2.1:",
            "192.0.2.1:0x35",
            "192.0.2.1:70000",
            "[192.0.2.1]",
            "192.0.2",
            "3221225985",
            "0300.0.2.1",
            "ns1.example.com:0",
            "a..b",
            "https://ns1.example.com",
            "*.example.com",
            "ns1.example.com:53:53",
            "[::1",
        ] {
            assert!(Server::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_inside_an_address_is_the_same_server() {
        let rule = Rule::parse("127.0.0.1").unwrap();
        assert!(rule.names(&Server::parse("::ffff:127.0.0.1").unwrap()));
        assert!(!rule.names(&Server::parse("127.0.0.1:5353").unwrap()));
        assert!(!rule.names(&Server::parse("localhost").unwrap()));
    }
}
