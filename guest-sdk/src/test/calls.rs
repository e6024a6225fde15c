//! The host's functions as the bindings have them, answered by the host that the thread's test has put together.

use super::CURRENT;
use super::world::World;

/// Asks the thread's host.
///
/// # Panics
/// There is none.
fn ask<T>(function: &str, answer: impl FnOnce(&mut World) -> T) -> T {
    CURRENT.with_borrow_mut(|current| match current {
        Some(world) => answer(world),
        None => panic!(
            "`soloist_sdk::{function}` asks the host of a run, and there is none here. In a unit test, run the job on one: \
             `soloist_sdk::test::Host::new().run(run)`; it belongs to the thread that does"
        ),
    })
}

pub(crate) mod clock {
    use std::time::{Duration, SystemTime};

    use super::ask;

    fn milliseconds(time: Duration) -> u64 {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn now_ms() -> u64 {
        ask("clock::now", |host| milliseconds(host.now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()))
    }

    pub(crate) fn monotonic_ns() -> u64 {
        ask("clock::monotonic", |host| u64::try_from(host.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    pub(crate) fn left_ms() -> u64 {
        ask("clock::time_left", |host| milliseconds(host.left()))
    }

    pub(crate) fn sleep_ms(time: u32) {
        ask("clock::sleep", |host| host.sleep(Duration::from_millis(u64::from(time))));
    }
}

pub(crate) mod config {
    use serde_json::Value;

    use super::ask;

    pub(crate) fn get(key: &str) -> Option<String> {
        ask("config::get", |host| host.setting(key))
    }

    pub(crate) fn json() -> String {
        ask("config::load", |host| Value::Object(host.config.clone()).to_string())
    }
}

pub(crate) mod dns {
    pub(crate) use crate::__bindings::soloist::job::dns::{Answer, Error, Reply, Rr};

    use super::ask as ask_host;
    use crate::dns;

    pub(crate) fn lookup(name: &str, rtype: &str) -> Result<Answer, Error> {
        ask_host("dns::lookup", |host| lower(host.lookup(name, rtype)))
    }

    pub(crate) fn ask(name: &str, rtype: &str, servers: &[String], _timeout: Option<u32>) -> Vec<Reply> {
        ask_host("dns::Question::ask", |host| {
            let reply = |server: &String| {
                let answer = lower(host.ask(name, rtype, server));
                Reply { server: server.clone(), answer, elapsed_ms: 1 }
            };
            servers.iter().map(reply).collect()
        })
    }

    fn lower(answer: Result<dns::Answer, dns::Error>) -> Result<Answer, Error> {
        let record = |dns::Record { name, rtype, ttl, data }| Rr { name, rtype, ttl, data };
        match answer {
            Ok(dns::Answer { rcode, authoritative, records, nsid }) => {
                Ok(Answer { rcode, authoritative, records: records.into_iter().map(record).collect(), nsid })
            }
            Err(error) => Err(match error {
                dns::Error::Denied(reason) => Error::Denied(reason),
                dns::Error::Invalid(reason) => Error::Invalid(reason),
                dns::Error::Timeout => Error::Timeout,
                dns::Error::Failed(reason) => Error::Failed(reason),
            }),
        }
    }
}

pub(crate) mod dns_update {
    pub(crate) use crate::__bindings::soloist::job::dns_update::{Error, Rrset};

    use super::ask;
    use crate::dns_update;
    use crate::test::Change;

    pub(crate) fn replace(rrsets: &[Rrset]) -> Result<(), Error> {
        let change = |rrset: &Rrset| {
            let Rrset { name, rtype, ttl, data } = rrset.clone();
            Change { name, rtype, ttl, data }
        };
        let changes = rrsets.iter().map(change).collect();
        ask("dns_update::Change::apply", |host| host.change(changes)).map_err(|error| match error {
            dns_update::Error::Denied(reason) => Error::Denied(reason),
            dns_update::Error::Invalid(reason) => Error::Invalid(reason),
            dns_update::Error::Refused(reason) => Error::Refused(reason),
            dns_update::Error::Unavailable(reason) => Error::Unavailable(reason),
        })
    }
}

pub(crate) mod http {
    use std::time::Duration;

    pub(crate) use crate::__bindings::soloist::job::http::{Error, Request, Response};

    use super::ask;
    use crate::{http, test};

    pub(crate) fn fetch(request: &Request) -> Result<Response, Error> {
        let Request { method, url, headers, body, timeout_ms } = request.clone();
        let timeout = timeout_ms.map(|timeout| Duration::from_millis(u64::from(timeout)));
        let request = test::Request { method, url, headers, body, timeout };
        match ask("http::Request::send", |host| host.fetch(request)) {
            Ok(http::Response { status, headers, body, url }) => Ok(Response { status, headers, body, url }),
            Err(error) => Err(lower(error)),
        }
    }

    pub(crate) fn certificates(origin: &str, _timeout: Option<u32>) -> Result<Vec<Vec<u8>>, Error> {
        ask("http::certificates", |host| host.certificates(origin)).map_err(lower)
    }

    fn lower(error: http::Error) -> Error {
        match error {
            http::Error::Denied(reason) => Error::Denied(reason),
            http::Error::Invalid(reason) => Error::Invalid(reason),
            http::Error::Timeout => Error::Timeout,
            http::Error::TooLarge(reason) => Error::TooLarge(reason),
            http::Error::Failed(reason) | http::Error::Unexpected(reason) => Error::Failed(reason),
        }
    }
}

pub(crate) mod log {
    pub(crate) use crate::__bindings::soloist::job::log::Level;

    use super::ask;
    use crate::log;

    pub(crate) fn log(level: Level, message: &str) {
        let level = match level {
            Level::Trace => log::Level::Trace,
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
            Level::Error => log::Level::Error,
        };
        ask("log::write", |host| host.log(level, message));
    }
}

pub(crate) mod metric {
    pub(crate) use crate::__bindings::soloist::job::metric::Error;

    use super::ask;
    use crate::test::Figure;

    type Labels = [(String, String)];

    pub(crate) fn count(name: &str, by: f64, labels: &Labels) -> Result<(), Error> {
        if !by.is_finite() || by < 0.0 {
            return Err(Error::Invalid(format!("a counter cannot rise by {by}")));
        }
        let figure = Figure::Count { name: name.to_owned(), by, labels: labels.to_vec() };
        ask("metric::Counter::add", |host| host.figure(figure));
        Ok(())
    }

    pub(crate) fn gauge(name: &str, value: f64, labels: &Labels) -> Result<(), Error> {
        if !value.is_finite() {
            return Err(Error::Invalid(format!("a gauge cannot be {value}")));
        }
        let figure = Figure::Gauge { name: name.to_owned(), value, labels: labels.to_vec() };
        ask("metric::Gauge::set", |host| host.figure(figure));
        Ok(())
    }
}

pub(crate) mod random {
    use super::{World, ask};

    pub(crate) fn number() -> u64 {
        ask("random::number", World::number)
    }

    pub(crate) fn bytes(length: u32) -> Vec<u8> {
        ask("random::bytes", |host| (0..length).map(|_| host.number().to_le_bytes()[0]).collect())
    }
}

pub(crate) mod secrets {
    pub(crate) use crate::__bindings::soloist::job::secrets::Error;

    use super::ask;

    pub(crate) fn get(name: &str) -> Result<String, Error> {
        ask("secrets::get", |host| host.secret(name)).map_err(Error::Denied)
    }
}

pub(crate) mod slack {
    pub(crate) use crate::__bindings::soloist::job::slack::{Error, Message, Posted};

    use super::ask;
    use crate::slack;
    use crate::test::Post;

    pub(crate) fn post(message: &Message) -> Result<Option<Posted>, Error> {
        let post = lift(message, None);
        let posted = ask("slack::Message::post", |host| host.post(post)).map_err(lower)?;
        Ok(posted.map(|slack::Posted { channel, ts }| Posted { channel, ts }))
    }

    pub(crate) fn update(posted: &Posted, message: &Message) -> Result<Posted, Error> {
        let posted = posted.clone();
        let updates = slack::Posted { channel: posted.channel.clone(), ts: posted.ts.clone() };
        let post = lift(message, Some(updates));
        ask("slack::Message::update", |host| host.post(post)).map_err(lower)?;
        Ok(posted)
    }

    fn lift(message: &Message, updates: Option<slack::Posted>) -> Post {
        let Message { channel, text, blocks, thread } = message.clone();
        let blocks = blocks.and_then(|blocks| serde_json::from_str(&blocks).ok());
        Post { channel, text, blocks, thread, updates }
    }

    fn lower(error: slack::Error) -> Error {
        match error {
            slack::Error::Denied(reason) => Error::Denied(reason),
            slack::Error::Invalid(reason) => Error::Invalid(reason),
            slack::Error::Rejected(code) => Error::Rejected(code),
            slack::Error::RateLimited(seconds) => Error::RateLimited(seconds),
            slack::Error::Unavailable(reason) => Error::Unavailable(reason),
        }
    }
}

pub(crate) mod state {
    pub(crate) use crate::__bindings::soloist::job::state::Error;

    use super::ask;

    pub(crate) fn get() -> Option<String> {
        ask("state::load", |host| host.state())
    }

    pub(crate) fn set(value: Option<&str>) -> Result<(), Error> {
        let size = |size| Error::TooLarge(u32::try_from(size).unwrap_or(u32::MAX));
        ask("state::save", |host| host.set_state(value)).map_err(size)
    }
}
