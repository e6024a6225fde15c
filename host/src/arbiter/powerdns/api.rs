//! The API's requests and answers: which record is asked for, and what an answer says of it, in words where it is a refusal.

use hickory_proto::rr::Name;
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::super::Error;
use super::super::options::bare;
use super::content;
use crate::round::{Observation, Replaced, Revision};

/// The longest part of a server's own words that an error repeats, in characters.
const MAX_WORDS: usize = 200;

/// What is asked of whom: for the requests, and for the words of an error.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// The API's address, as in the configuration.
    pub(super) place: String,
    /// The zone's own address in the API.
    pub(super) zone_url: Url,
    /// What the API calls its server.
    pub(super) server_id: String,
    /// The zone, absolute and in lower case.
    pub(super) zone: Name,
    /// The record's name, absolute and in lower case.
    pub(super) record: Name,
}

/// The part of a zone that is read.
#[derive(Debug, Deserialize)]
struct Zone {
    rrsets: Vec<Found>,
}

#[derive(Debug, Deserialize)]
struct Found {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    records: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    content: String,
    #[serde(default)]
    disabled: bool,
}

/// A refusal's own words.
#[derive(Debug, Deserialize)]
struct Refusal {
    error: String,
}

/// An answer of the API.
#[derive(Debug)]
pub(super) struct Answer {
    /// Its status.
    pub(super) status: StatusCode,
    /// Its body, as far as it was read.
    pub(super) body: Vec<u8>,
}

impl Asked {
    /// The question for everything at the record's name. A server that does not know these parameters gives its whole zone.
    pub(super) fn question(&self) -> Url {
        let mut url = self.zone_url.clone();
        url.query_pairs_mut().append_pair("rrset_name", &absolute_text(&self.record));
        url
    }

    /// What stands at the record's name.
    pub(super) fn of_question(&self, answer: &Answer) -> Result<Observation, Error> {
        if let Some(refused) = self.refusal(answer) {
            return Err(refused);
        }
        if answer.status != StatusCode::OK {
            let reason = format!("it failed ({}){}", code(answer.status), words(answer));
            return Err(Error::Unreachable { place: self.place.clone(), reason });
        }
        let zone: Zone = serde_json::from_slice(&answer.body)
            .map_err(|error| self.nonsense(format!("no zone in PowerDNS's JSON: {error}")))?;
        let name = bare(&self.record);
        let mut values = Vec::new();
        let mut texts = Vec::new();
        for rrset in zone.rrsets.iter().filter(|rrset| is_name(&rrset.name, &self.record)) {
            match rrset.kind.as_str() {
                "CNAME" | "ALIAS" => {
                    return Err(self.nonsense(format!("`{name}` is an alias ({}): it can hold no record", rrset.kind)));
                }
                "TXT" => {}
                _ => continue,
            }
            for entry in &rrset.records {
                if entry.disabled {
                    let reason = format!("a TXT record at `{name}` is disabled: enable it, or delete it, in PowerDNS");
                    return Err(self.nonsense(reason));
                }
                let strings = content::decode(&entry.content)
                    .ok_or_else(|| self.nonsense(format!("a TXT record at `{name}` whose text cannot be read")))?;
                texts.push(content::canonical(&strings));
                values.push(strings.concat());
            }
        }
        values.sort();
        Ok(Observation { revision: revision(texts), values })
    }

    /// What came of a change that would have left this value.
    pub(super) fn of_change(&self, answer: &Answer, value: &[u8]) -> Result<Replaced, Error> {
        if let Some(refused) = self.refusal(answer) {
            return Err(refused);
        }
        Ok(match answer.status {
            StatusCode::OK | StatusCode::NO_CONTENT => Replaced::Applied(revision_of(value)),
            status => Replaced::Unknown(format!("the answer was {}{}", code(status), words(answer))),
        })
    }

    /// Why the server did not do what was asked, with what to check; none if that is not what it says.
    fn refusal(&self, answer: &Answer) -> Option<Error> {
        let reason = self.why_refused(answer, &format!("a TXT record at `{}`", bare(&self.record)))?;
        Some(Error::Refused { place: self.place.clone(), reason })
    }

    pub(super) fn why_refused(&self, answer: &Answer, what: &str) -> Option<String> {
        let zone = bare(&self.zone);
        let check = match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "it does not take the API key: check that it is the server's `api-key`, and that the server's \
                 `webserver-allow-from` has this machine's address"
                    .to_owned()
            }
            StatusCode::NOT_FOUND => format!(
                "it has no zone `{zone}` on a server `{}` there: check `zone`, `server-id` and `url`, and that the \
                 server has `api=yes`",
                self.server_id
            ),
            StatusCode::UNPROCESSABLE_ENTITY => {
                format!("it cannot have {what}: check the name, what else stands there, and the zone `{zone}`")
            }
            StatusCode::BAD_REQUEST
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_ACCEPTABLE
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                "it does not understand the request: check that `url` is PowerDNS's API".to_owned()
            }
            status if status.is_redirection() => {
                "it sends us elsewhere, and no redirect is followed: check `url`".to_owned()
            }
            _ => return None,
        };
        Some(format!("{}: {check}{}", code(answer.status), words(answer)))
    }

    fn nonsense(&self, reason: String) -> Error {
        Error::Nonsense { place: self.place.clone(), reason }
    }
}

/// The server's own words behind ours, where it has some.
pub(super) fn words(answer: &Answer) -> String {
    let Ok(Refusal { error }) = serde_json::from_slice(&answer.body) else { return String::new() };
    let shown: String = error.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect();
    if shown.is_empty() { shown } else { format!(" (it says: {shown})") }
}

/// The revision of one TXT record of this value.
pub(super) fn revision_of(value: &[u8]) -> Revision {
    revision(vec![content::encode(value)])
}

/// The revision of TXT records by their texts, in whatever order: one a line, as no text has a line break.
fn revision(mut texts: Vec<String>) -> Revision {
    if texts.is_empty() {
        return Revision::Absent;
    }
    texts.sort();
    Revision::Exact(texts.join("\n").into_bytes().into())
}

/// The zone's address in the API. `base` has a path that ends with a slash, or none.
pub(super) fn zone_url(base: &Url, server_id: &str, zone: &Name) -> Option<Url> {
    let mut url = base.clone();
    let id = zone_id(zone);
    url.path_segments_mut().ok()?.pop_if_empty().extend(["api", "v1", "servers", server_id, "zones", &id]);
    Some(url)
}

/// The name by which the API has a zone: what is no letter, digit, hyphen or dot as `=XX`.
fn zone_id(zone: &Name) -> String {
    let name = absolute_text(zone);
    if name == "." {
        return "=2E".to_owned();
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    name.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("={byte:02X}") })
        .collect()
}

/// A name with the dot at its end, in ASCII.
pub(super) fn absolute_text(name: &Name) -> String {
    let mut name = name.clone();
    name.set_fqdn(true);
    name.to_ascii()
}

fn is_name(text: &str, name: &Name) -> bool {
    Name::from_ascii(text).is_ok_and(|mut found| {
        found.set_fqdn(true);
        found.to_lowercase() == *name
    })
}

/// A status as people know it: `404 Not Found`.
pub(super) fn code(status: StatusCode) -> String {
    status
        .canonical_reason()
        .map_or_else(|| status.as_str().to_owned(), |reason| format!("{} {reason}", status.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked() -> Asked {
        let (zone, record) = (name("example.test."), name("job.example.test."));
        let base = Url::parse("http://192.0.2.1:8081").unwrap();
        Asked {
            place: "http://192.0.2.1:8081".to_owned(),
            zone_url: zone_url(&base, "localhost", &zone).unwrap(),
            server_id: "localhost".to_owned(),
            zone,
            record,
        }
    }

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn answer(status: u16, body: &(impl ToString + ?Sized)) -> Answer {
        Answer { status: StatusCode::from_u16(status).unwrap(), body: body.to_string().into_bytes() }
    }

    fn txt(name: &str, contents: &[&str]) -> serde_json::Value {
        let records: Vec<_> = contents.iter().map(|content| json!({ "content": content, "disabled": false })).collect();
        json!({ "name": name, "type": "TXT", "ttl": 60, "records": records, "comments": [] })
    }

    fn zone(rrsets: &[serde_json::Value]) -> Answer {
        answer(200, &json!({ "name": "example.test.", "kind": "Native", "rrsets": rrsets }))
    }

    #[test]
    fn the_zones_address_is_the_apis() {
        let url = |base: &str, server: &str, zone: &str| {
            zone_url(&Url::parse(base).unwrap(), server, &name(zone)).unwrap().to_string()
        };
        let expected = "http://127.0.0.1:8081/api/v1/servers/localhost/zones/example.test.";
        assert_eq!(url("http://127.0.0.1:8081", "localhost", "example.test"), expected);
        assert_eq!(url("http://127.0.0.1:8081/", "localhost", "example.test."), expected);
        let proxied = "https://dns.example.com/pdns/api/v1/servers/a%20b/zones/=5Fjobs.example.test.";
        assert_eq!(url("https://dns.example.com/pdns", "a b", "_jobs.example.test"), proxied);
        assert!(asked().question().as_str().ends_with("zones/example.test.?rrset_name=job.example.test."));
    }

    #[test]
    fn a_whole_zone_is_searched_for_the_record() {
        let others = [txt("example.test.", &["\"other\""]), txt("bob.example.test.", &["\"other\""])];
        assert_eq!(asked().of_question(&zone(&others)).unwrap(), Observation::absent());
        let [first, second] = others;
        let seen = asked().of_question(&zone(&[first, txt("JOB.example.test.", &["\"b\"", "\"a\" \"c\""]), second]));
        assert_eq!(seen.unwrap().values, [b"ac".to_vec(), b"b".to_vec()]);
    }

    #[test]
    fn a_revision_is_of_every_record_in_whatever_order() {
        let seen = |contents: &[&str]| asked().of_question(&zone(&[txt("job.example.test.", contents)])).unwrap();
        assert_eq!(seen(&["\"a\"", "\"b\""]).revision, seen(&["\"b\"", "a"]).revision);
        assert_ne!(seen(&["\"a\""]).revision, seen(&["\"a\"", "\"a\""]).revision);
        assert_ne!(seen(&["\"a\" \"b\""]).revision, seen(&["\"ab\""]).revision);
        assert_ne!(seen(&["\"a\" \"b\""]).revision, seen(&["\"a\"", "\"b\""]).revision);
        let long = vec![b'x'; 300];
        assert_eq!(seen(&[&content::encode(&long)]).revision, revision_of(&long));
    }

    #[test]
    fn a_change_leaves_one_record() {
        let change: serde_json::Value = serde_json::from_slice(&asked().change(b"a\"\xff", 60).unwrap()).unwrap();
        let records = json!([{ "content": "\"a\\\"\\255\"", "disabled": false }]);
        let rrset = json!({ "name": "job.example.test.", "type": "TXT", "ttl": 60, "changetype": "REPLACE", "records": records });
        assert_eq!(change, json!({ "rrsets": [rrset] }));
    }

    #[test]
    fn what_can_be_no_record_is_said() {
        let mut disabled = txt("job.example.test.", &["\"a\""]);
        disabled["records"][0]["disabled"] = json!(true);
        let alias =
            json!({ "name": "job.example.test.", "type": "CNAME", "records": [{ "content": "ns.example.test." }] });
        for (rrset, word) in
            [(disabled, "disabled"), (alias, "alias"), (txt("job.example.test.", &["\"a"]), "cannot be read")]
        {
            let error = asked().of_question(&zone(&[rrset])).unwrap_err();
            assert!(matches!(error, Error::Nonsense { .. }) && error.to_string().contains(word), "{error}");
        }
        for body in ["", "[]", "{}", "<html>", "{\"rrsets\": 1}"] {
            assert!(matches!(asked().of_question(&answer(200, body)), Err(Error::Nonsense { .. })), "{body}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_check() {
        let cases = [
            (401, "Unauthorized", &["401 Unauthorized", "`api-key`", "webserver-allow-from"][..]),
            (404, "Not Found", &["404", "`example.test`", "`localhost`", "`server-id`", "api=yes"]),
            (
                422,
                "{\"error\": \"RRset x: Conflicts\\u001b[0m\"}",
                &["`job.example.test`", "(it says: RRset x: Conflicts[0m)"],
            ),
            (301, "", &["redirect", "`url`"]),
            (405, "", &["`url` is PowerDNS's API"]),
        ];
        for (status, body, words) in cases {
            let read = asked().of_question(&answer(status, body)).unwrap_err();
            let write = asked().of_change(&answer(status, body), b"a").unwrap_err();
            assert!(matches!((&read, &write), (Error::Refused { .. }, Error::Refused { .. })), "{read} {write}");
            for word in words {
                assert!(write.to_string().contains(word), "`{word}` is missing in: {write}");
            }
        }
    }

    #[test]
    fn a_failure_leaves_a_write_unknown_and_a_read_without_result() {
        for status in [408, 409, 429, 500, 502, 503, 504, 201, 100] {
            let read = asked().of_question(&answer(status, "{\"error\": \"database is locked\"}"));
            assert!(matches!(read, Err(Error::Unreachable { .. })), "{status}: {read:?}");
            let write = asked().of_change(&answer(status, "{\"error\": \"database is locked\"}"), b"a").unwrap();
            let Replaced::Unknown(reason) = write else { panic!("{status}: {write:?}") };
            assert!(reason.contains("database is locked"), "{reason}");
        }
        assert_eq!(asked().of_change(&answer(204, ""), b"a").unwrap(), Replaced::Applied(revision_of(b"a")));
    }
}
