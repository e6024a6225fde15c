//! Data of a record from its presentation form: nothing is left over, and every name is absolute.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, NULL, PTR, TXT};
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, BinEncodable as _, Restrict};

use super::{name_from, type_text};

/// The longest text of one record's data, in bytes.
pub const MAX_DATA: usize = 4096;

/// The longest string in a TXT record (RFC 1035, section 3.3).
const MAX_STRING: usize = 255;

/// The data that a text is for a type: of a TXT record the text as it is, split over as few strings as can hold it; else
/// the presentation form, or `\# LENGTH HEX` for any type. A name without a dot at its end is absolute all the same.
///
/// # Errors
/// Why it is none, in words.
pub fn data_from(rtype: RecordType, text: &str) -> Result<RData, String> {
    let wrong = |reason: String| format!("no data of {}: {reason}", type_text(rtype));
    if text.len() > MAX_DATA {
        return Err(wrong(format!("{} bytes, and at most {MAX_DATA} are taken", text.len())));
    }
    if rtype == RecordType::TXT {
        return Ok(RData::TXT(txt(text.as_bytes())));
    }
    // A line break would end the record; a comment would hide what follows.
    if !text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return Err(wrong("there are characters other than the printable ones of ASCII".to_owned()));
    }
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("\\#") {
        return generic(rtype, rest).map_err(wrong);
    }
    let one_name = || name_from(text);
    let data = match rtype {
        RecordType::A => {
            text.parse::<Ipv4Addr>().map(|address| RData::A(A(address))).map_err(|_| "no IPv4 address".to_owned())
        }
        RecordType::AAAA => {
            text.parse::<Ipv6Addr>().map(|address| RData::AAAA(AAAA(address))).map_err(|_| "no IPv6 address".to_owned())
        }
        RecordType::CNAME => one_name().map(|name| RData::CNAME(CNAME(name))),
        RecordType::NS => one_name().map(|name| RData::NS(NS(name))),
        RecordType::PTR => one_name().map(|name| RData::PTR(PTR(name))),
        RecordType::DNAME => one_name().and_then(|name| dname(&name)),
        _ => other(rtype, text),
    };
    data.map_err(wrong)
}

fn txt(bytes: &[u8]) -> TXT {
    if bytes.is_empty() { TXT::from_bytes(vec![b""]) } else { TXT::from_bytes(bytes.chunks(MAX_STRING).collect()) }
}

/// The library has no data of its own for it.
fn dname(name: &Name) -> Result<RData, String> {
    let bytes = name.to_bytes().map_err(|error| error.to_string())?;
    Ok(RData::Unknown { code: RecordType::DNAME, rdata: NULL::with(bytes) })
}

fn other(rtype: RecordType, text: &str) -> Result<RData, String> {
    let fields = match rtype {
        RecordType::MX => Some((2, "`10 mail.example.com.`")),
        RecordType::SRV => Some((4, "`10 5 443 www.example.com.`")),
        RecordType::CAA => Some((3, "`0 issue \"ca.example.net\"`")),
        RecordType::NAPTR => Some((6, "`100 10 \"S\" \"SIP+D2U\" \"\" _sip._udp.example.com.`")),
        _ => None,
    };
    if let Some((wanted, example)) = fields
        && count_fields(text) != wanted
    {
        return Err(format!("{} fields instead of {wanted}, as in {example}", count_fields(text)));
    }
    let mut data = RData::try_from_str(rtype, text).map_err(|_| {
        let example = fields.map_or("the presentation form, or `\\# LENGTH HEX` (RFC 3597)", |(_, example)| example);
        format!("it is written like {example}")
    })?;
    match &mut data {
        RData::MX(mx) => mx.exchange.set_fqdn(true),
        RData::SRV(srv) => srv.target.set_fqdn(true),
        RData::NAPTR(naptr) => naptr.replacement.set_fqdn(true),
        RData::SVCB(svcb) => svcb.target_name.set_fqdn(true),
        RData::HTTPS(https) => https.0.target_name.set_fqdn(true),
        _ => {}
    }
    // What cannot be sent is no data.
    data.to_bytes().map(|_| data.clone()).map_err(|error| error.to_string())
}

/// How many fields a text has: parts between blanks, where quotes hold one together.
fn count_fields(text: &str) -> usize {
    let (mut count, mut in_field, mut in_quotes, mut escaped) = (0, false, false, false);
    for c in text.chars() {
        if c == ' ' && !in_quotes && !escaped {
            in_field = false;
        } else if !in_field {
            in_field = true;
            count += 1;
        }
        in_quotes ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    count
}

/// What stands behind `\#` (RFC 3597, section 5).
fn generic(rtype: RecordType, rest: &str) -> Result<RData, String> {
    let mut fields = rest.split_whitespace();
    let length = fields.next().and_then(|length| length.parse::<usize>().ok());
    let length = length.ok_or_else(|| "`\\#` is followed by a number of bytes".to_owned())?;
    let hex: Vec<u8> = fields.flat_map(str::bytes).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> = hex.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect();
    let bytes = bytes.ok_or_else(|| "the bytes are pairs of hexadecimal digits".to_owned())?;
    if bytes.len() != length {
        return Err(format!("{} bytes instead of {length}", bytes.len()));
    }
    let short = u16::try_from(length).map_err(|_| "too long".to_owned())?;
    let mut decoder = BinDecoder::new(&bytes);
    RData::read(&mut decoder, rtype, Restrict::new(short)).map_err(|error| error.to_string())
}
