//! Data of a record to its presentation form.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::rr::rdata::svcb::{SVCB, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{CAA, HINFO, NAPTR};
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder, BinEncodable as _};

use super::absolute;

/// The data of a record; of a TXT record its strings, joined and unquoted, with what is no UTF-8 replaced.
///
/// Names are in ASCII and end with a dot. What has no form of its own is written as `\# LENGTH HEX` (RFC 3597, section 5).
pub fn data_text(data: &RData) -> String {
    match data {
        RData::TXT(txt) => String::from_utf8_lossy(&txt.txt_data.concat()).into_owned(),
        RData::CNAME(name) => absolute(&name.0),
        RData::NS(name) => absolute(&name.0),
        RData::PTR(name) => absolute(&name.0),
        RData::ANAME(name) => absolute(&name.0),
        RData::MX(mx) => format!("{} {}", mx.preference, absolute(&mx.exchange)),
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, absolute(&srv.target)),
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {} {}",
            absolute(&soa.mname),
            absolute(&soa.rname),
            soa.serial,
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        RData::CAA(caa) => caa_text(caa),
        RData::HINFO(HINFO { cpu, os, .. }) => format!("{} {}", quoted(cpu), quoted(os)),
        RData::NAPTR(naptr) => naptr_text(naptr),
        RData::SVCB(svcb) => svcb_text(svcb),
        RData::HTTPS(https) => svcb_text(&https.0),
        RData::Unknown { code: RecordType::DNAME, rdata } => {
            let mut decoder = BinDecoder::new(&rdata.anything);
            Name::read(&mut decoder).map_or_else(|_| generic(data), |name| absolute(&name))
        }
        RData::A(_)
        | RData::AAAA(_)
        | RData::CERT(_)
        | RData::OPENPGPKEY(_)
        | RData::SMIMEA(_)
        | RData::SSHFP(_)
        | RData::TLSA(_)
        | RData::CSYNC(_)
        | RData::DNSSEC(_) => data.to_string(),
        other => generic(other),
    }
}

fn caa_text(caa: &CAA) -> String {
    format!("{} {} {}", caa.flags(), caa.tag, quoted(&caa.value))
}

fn naptr_text(naptr: &NAPTR) -> String {
    format!(
        "{} {} {} {} {} {}",
        naptr.order,
        naptr.preference,
        quoted(&naptr.flags),
        quoted(&naptr.services),
        quoted(&naptr.regexp),
        absolute(&naptr.replacement)
    )
}

/// RFC 9460, section 2.1.
fn svcb_text(svcb: &SVCB) -> String {
    let mut text = format!("{} {}", svcb.svc_priority, absolute(&svcb.target_name));
    for (key, value) in &svcb.svc_params {
        let key = match key {
            SvcParamKey::Unknown(number) => format!("key{number}"),
            known => known.to_string(),
        };
        // Writing to a string does not fail.
        let _ = match value {
            SvcParamValue::NoDefaultAlpn => write!(text, " {key}"),
            SvcParamValue::Mandatory(keys) => write!(text, " {key}={}", joined(&keys.0)),
            SvcParamValue::Alpn(names) => write!(text, " {key}=\"{}\"", joined(&names.0)),
            SvcParamValue::Port(port) => write!(text, " {key}={port}"),
            SvcParamValue::Ipv4Hint(addresses) => write!(text, " {key}={}", joined(&addresses.0)),
            SvcParamValue::Ipv6Hint(addresses) => write!(text, " {key}={}", joined(&addresses.0)),
            SvcParamValue::EchConfigList(list) => write!(text, " {key}={}", STANDARD.encode(&list.0)),
            SvcParamValue::Unknown(bytes) => write!(text, " {key}={}", quoted(&bytes.0)),
        };
    }
    text
}

fn joined(values: &[impl ToString]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A character string in quotes (RFC 1035, section 5.1): what is no printable ASCII as `\DDD`.
pub(in crate::arbiter) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            other => {
                let _ = write!(text, "\\{other:03}");
            }
        }
    }
    text + "\""
}

/// `\# LENGTH HEX`.
fn generic(data: &RData) -> String {
    let bytes = data.to_bytes().unwrap_or_default();
    let mut text = format!("\\# {}", bytes.len());
    if !bytes.is_empty() {
        text.push(' ');
    }
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
