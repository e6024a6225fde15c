//! What kind of place an address is: a request or a question reaches public ones, and others only where a grant says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Anywhere on the internet.
    Public,
    /// In a private network: RFC 1918, unique local, carrier-grade NAT, benchmarking.
    Private,
    /// This machine.
    Loopback,
    /// No place to reach: link-local, cloud metadata, multicast, unspecified, documentation, reserved.
    Never,
}

/// Where cloud providers answer with credentials, outside the link-local range.
const METADATA_V4: [Ipv4Addr; 2] = [
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba Cloud
    Ipv4Addr::new(168, 63, 129, 16),   // Azure
];
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), // Amazon EC2
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),  // Google Cloud
];

/// What kind of place an address is. An IPv4 address inside an IPv6 one counts as itself.
pub fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(address) => place_v4(address),
        IpAddr::V6(address) => embedded(address).map_or_else(|| place_v6(address), place_v4),
    }
}

/// The IANA special-purpose registry of IPv4 addresses.
fn place_v4(address: Ipv4Addr) -> Place {
    if METADATA_V4.contains(&address) {
        return Place::Never;
    }
    match address.octets() {
        [127, ..] => Place::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => Place::Private,
        [0 | 224..=255, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Place::Never,
        _ => Place::Public,
    }
}

/// The IANA special-purpose registry of IPv6 addresses: public is what lies in `2000::/3` and is not carved out.
fn place_v6(address: Ipv6Addr) -> Place {
    if METADATA_V6.contains(&address) {
        return Place::Never;
    }
    if address == Ipv6Addr::LOCALHOST {
        return Place::Loopback;
    }
    match address.segments() {
        // Unique local, and the site-local range before it.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Place::Private,
        // Protocol assignments with Teredo and ORCHID, and the two documentation ranges.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Place::Never,
        [0x2000..=0x3fff, ..] => Place::Public,
        _ => Place::Never,
    }
}

/// The IPv4 address that a packet to this IPv6 address would end at: mapped, compatible, NAT64 and 6to4 forms.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_is_the_place_that_it_is() {
        let table: &[(Place, &[&str])] = &[
            (
                Place::Public,
                &["1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111", "2a00::1"],
            ),
            (
                Place::Private,
                &[
                    "10.0.0.1",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.1.1",
                    "100.64.0.1",
                    "100.127.255.255",
                    "198.18.0.1",
                    "fc00::1",
                    "fd12::1",
                    "fec0::1",
                ],
            ),
            (Place::Loopback, &["127.0.0.1", "127.255.255.255", "::1"]),
            (
                Place::Never,
                &[
                    "0.0.0.0",
                    "0.1.2.3",
                    "169.254.169.254",
                    "169.254.170.2",
                    "100.100.100.200",
                    "168.63.129.16",
                    "192.0.0.192",
                    "192.0.2.1",
                    "198.51.100.1",
                    "203.0.113.1",
                    "192.88.99.1",
                    "224.0.0.1",
                    "239.255.255.255",
                    "240.0.0.1",
                    "255.255.255.255",
                    "::",
                    "fe80::1",
                    "ff02::1",
                    "2001:db8::1",
                    "3fff::1",
                    "2001::1",
                    "2001:20::1",
                    "100::1",
                    "64:ff9b:1::a00:1",
                    "5f00::1",
                    "fd00:ec2::254",
                    "fd20:ce::254",
                ],
            ),
        ];
        for (expected, addresses) in table {
            for address in *addresses {
                assert_eq!(place(address.parse().unwrap()), *expected, "{address}");
            }
        }
    }

    #[test]
    fn an_address_inside_an_address_counts_as_itself() {
        for (address, expected) in [
            ("::ffff:127.0.0.1", Place::Loopback),
            ("::ffff:169.254.169.254", Place::Never),
            ("::ffff:8.8.8.8", Place::Public),
            ("::127.0.0.1", Place::Loopback),
            ("::ffff:0:10.0.0.1", Place::Private),
            ("64:ff9b::10.0.0.1", Place::Private),
            ("64:ff9b::169.254.169.254", Place::Never),
            ("64:ff9b::8.8.8.8", Place::Public),
            ("2002:7f00:1::1", Place::Loopback),
            ("2002:a9fe:a9fe::", Place::Never),
        ] {
            assert_eq!(place(address.parse().unwrap()), expected, "{address}");
        }
    }
}
