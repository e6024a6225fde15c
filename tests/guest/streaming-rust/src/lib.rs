//! A job that uses the standard `wasi:http` itself, as its setting `mode` says.

mod smuggle;

use std::time::Duration;

use serde::Deserialize;
use soloist_sdk::{Context, Failure, config};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

soloist_sdk::job!(run);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    mode: Mode,
    /// Host and port.
    authority: String,
    #[serde(default = "root")]
    path: String,
    /// How many pieces `talk` sends.
    #[serde(default)]
    pieces: u32,
    /// How long `get` waits for the response, and for each piece of its body.
    first_byte_ms: Option<u64>,
    between_bytes_ms: Option<u64>,
}

fn root() -> String {
    "/".to_owned()
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// Sends a piece, waits for its answer, and so on: neither body is ever known whole before the other has begun.
    Talk,
    /// Sends the first piece of a body, and panics.
    Panic,
    /// Sends the first piece of a body, and waits for an answer for ever.
    Wait,
    /// Gets the path: status, length and trailers.
    Get,
    /// Tries to set what only the host may.
    Smuggle,
}

fn run(_: Context) -> Result<String, Failure> {
    let settings: Settings = config::load()?;
    match settings.mode {
        Mode::Talk => talk(&settings),
        Mode::Panic | Mode::Wait => leave(&settings),
        Mode::Get => get(&settings),
        Mode::Smuggle => smuggle::all_of(&settings.authority),
    }
}

fn request(settings: &Settings, method: &Method) -> Result<OutgoingRequest, Failure> {
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).map_err(|()| Failure::final_("no scheme"))?;
    request.set_authority(Some(&settings.authority)).map_err(|()| Failure::final_("no authority"))?;
    request.set_path_with_query(Some(&settings.path)).map_err(|()| Failure::final_("no path"))?;
    request.set_method(method).map_err(|()| Failure::final_("no method"))?;
    Ok(request)
}

fn code(error: ErrorCode) -> Failure {
    Failure::final_(format!("{error:?}"))
}

fn stream(error: StreamError) -> Failure {
    Failure::final_(match error {
        StreamError::Closed => "the stream is closed".to_owned(),
        StreamError::LastOperationFailed(error) => error.to_debug_string(),
    })
}

fn once<T>(taken: Result<T, ()>) -> Result<T, Failure> {
    taken.map_err(|()| Failure::final_("it was taken before"))
}

/// The response, when its head is there.
fn head(future: &FutureIncomingResponse) -> Result<IncomingResponse, Failure> {
    future.subscribe().block();
    once(once(future.get().ok_or(()))?)?.map_err(code)
}

fn write(output: &OutputStream, piece: u32) -> Result<(), Failure> {
    output.blocking_write_and_flush(format!("piece-{piece}\n").as_bytes()).map_err(stream)
}

/// Reads up to the end of a line.
fn line(input: &InputStream) -> Result<String, Failure> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.extend(input.blocking_read(1).map_err(stream)?);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// What is left of the body, in bytes.
fn rest(input: &InputStream) -> Result<u64, Failure> {
    let mut length = 0;
    loop {
        match input.blocking_read(64 * 1024) {
            Ok(piece) => length += piece.len() as u64,
            Err(StreamError::Closed) => return Ok(length),
            Err(error) => return Err(stream(error)),
        }
    }
}

/// The trailers as text.
fn trailers(body: IncomingBody) -> Result<String, Failure> {
    let future = IncomingBody::finish(body);
    future.subscribe().block();
    let trailers = once(once(future.get().ok_or(()))?)?.map_err(code)?;
    let fields = trailers.map(|fields| fields.entries()).unwrap_or_default();
    let text = |(name, value): &(String, Vec<u8>)| format!("{name}: {}", String::from_utf8_lossy(value));
    Ok(fields.iter().map(text).collect::<Vec<_>>().join(", "))
}

fn talk(settings: &Settings) -> Result<String, Failure> {
    let request = request(settings, &Method::Post)?;
    let body = once(request.body())?;
    let output = once(body.write())?;
    let future = handle(request, None).map_err(code)?;
    write(&output, 0)?;
    let response = head(&future)?;
    let incoming = once(response.consume())?;
    let input = once(incoming.stream())?;
    let mut answers = vec![line(&input)?];
    for piece in 1..settings.pieces {
        write(&output, piece)?;
        answers.push(line(&input)?);
    }
    drop(output);
    let sum = Fields::from_list(&[("x-sum".to_owned(), settings.pieces.to_string().into_bytes())])
        .map_err(|error| Failure::final_(format!("{error:?}")))?;
    OutgoingBody::finish(body, Some(sum)).map_err(code)?;
    let left = rest(&input)?;
    drop(input);
    Ok(format!("{}; {left} more; {}", answers.join(" "), trailers(incoming)?))
}

fn leave(settings: &Settings) -> Result<String, Failure> {
    let request = request(settings, &Method::Post)?;
    let body = once(request.body())?;
    let output = once(body.write())?;
    let future = handle(request, None).map_err(code)?;
    write(&output, 0)?;
    if matches!(settings.mode, Mode::Panic) {
        // The server has the piece: it asks for the rest.
        head(&future)?;
        panic!("in the middle of a body");
    }
    head(&future).map(|response| format!("status {}", response.status()))
}

fn get(settings: &Settings) -> Result<String, Failure> {
    let options = RequestOptions::new();
    let time = |millis: Option<u64>| millis.map(|millis| Duration::from_millis(millis).as_nanos() as u64);
    once(options.set_first_byte_timeout(time(settings.first_byte_ms)))?;
    once(options.set_between_bytes_timeout(time(settings.between_bytes_ms)))?;
    let future = handle(request(settings, &Method::Get)?, Some(options)).map_err(code)?;
    let response = head(&future)?;
    let incoming = once(response.consume())?;
    let input = once(incoming.stream())?;
    let length = rest(&input)?;
    drop(input);
    Ok(format!("{}; {length} bytes; {}", response.status(), trailers(incoming)?))
}
