//! Names, types, response codes and data as people write them (RFC 1035, section 5; RFC 3597 for what is not known).

mod read;
mod write;

use std::str::FromStr as _;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};

pub use read::{MAX_DATA, data_from};
pub use write::data_text;
pub(super) use write::quoted;

/// Types that have a name which our library does not know.
const MORE_TYPES: [(&str, u16); 18] = [
    ("RP", 17),
    ("AFSDB", 18),
    ("LOC", 29),
    ("KX", 36),
    ("DNAME", 39),
    ("OPT", 41),
    ("APL", 42),
    ("IPSECKEY", 45),
    ("DHCID", 49),
    ("HIP", 55),
    ("ZONEMD", 63),
    ("SPF", 99),
    ("EUI48", 108),
    ("EUI64", 109),
    ("IXFR", 251),
    ("URI", 256),
    ("AVC", 258),
    ("DLV", 32769),
];

/// The type of this name: `MX`, `TYPE65280`. None if there is no such type.
pub fn type_from(text: &str) -> Option<RecordType> {
    let text = text.to_ascii_uppercase();
    if let Some(number) = text.strip_prefix("TYPE") {
        let plain = number.bytes().all(|byte| byte.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
        return number.parse::<u16>().ok().filter(|_| plain).map(RecordType::from);
    }
    if let Some((_, code)) = MORE_TYPES.iter().find(|(name, _)| *name == text) {
        return Some(RecordType::from(*code));
    }
    RecordType::from_str(&text).ok().filter(|_| text != "*")
}

/// The name of a type.
pub fn type_text(rtype: RecordType) -> String {
    let code = u16::from(rtype);
    if let Some((name, _)) = MORE_TYPES.iter().find(|(_, known)| *known == code) {
        return (*name).to_owned();
    }
    match rtype {
        RecordType::Unknown(_) | RecordType::ZERO => format!("TYPE{code}"),
        known => known.to_string(),
    }
}

/// Whether no record has this type: it belongs to questions or transactions (RFC 6895, section 3.1).
pub fn is_meta(rtype: RecordType) -> bool {
    let code = u16::from(rtype);
    code == 0 || rtype == RecordType::OPT || (128..=255).contains(&code)
}

/// A response code as servers' logs write it.
pub fn code_text(code: ResponseCode) -> String {
    let known = match code {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::Refused => "REFUSED",
        ResponseCode::YXDomain => "YXDOMAIN",
        ResponseCode::YXRRSet => "YXRRSET",
        ResponseCode::NXRRSet => "NXRRSET",
        ResponseCode::NotAuth => "NOTAUTH",
        ResponseCode::NotZone => "NOTZONE",
        ResponseCode::BADVERS => "BADVERS",
        ResponseCode::BADCOOKIE => "BADCOOKIE",
        code => return format!("RCODE{}", u16::from(code)),
    };
    known.to_owned()
}

/// A name, absolute and in lower case, from what people write; letters beyond ASCII become `xn--` (RFC 5891).
///
/// # Errors
/// It is no name.
pub fn name_from(text: &str) -> Result<Name, String> {
    let wrong = || {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
        format!("`{shown}` is no domain name")
    };
    if text.is_empty() {
        return Err(wrong());
    }
    let mut name = Name::from_str(text).map_err(|_| wrong())?.to_lowercase();
    name.set_fqdn(true);
    // What a message can hold: the library takes longer ones and fails later.
    if name.len() > 255 { Err(wrong()) } else { Ok(name) }
}

/// A name in ASCII, in lower case, without the dot at its end; the root is `.`.
pub fn name_text(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    match text.strip_suffix('.') {
        Some(bare) if !bare.is_empty() => bare.to_owned(),
        _ => text,
    }
}

/// A name in ASCII with the dot at its end, as it stands in data.
fn absolute(name: &Name) -> String {
    let mut name = name.clone();
    name.set_fqdn(true);
    name.to_ascii()
}

#[cfg(test)]
mod tests;
