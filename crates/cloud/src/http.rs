//! Sending requests: retries, refusals, bounded bodies.

use std::time::Duration;

use reqwest::{Client, Method, Request, Response, Url};
use sluice_http::chain;
pub use sluice_http::display;

use crate::Error;
use crate::xml;

/// Largest page of a listing, and largest answer of a token service, in bytes.
pub const MAX_PAGE: usize = 32 << 20;
/// Most of an error's text, in bytes.
const MAX_ERROR: usize = 64 * 1024;
/// So many times a request is sent that fails for reasons that may pass.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Sends what `make` makes, again where that may help. Answers other than 2xx are errors.
pub async fn send(
    http: &Client,
    mut make: impl FnMut() -> Result<Request, Error>,
) -> Result<Response, Error> {
    let mut attempt = 0;
    loop {
        let error = match once(http, make()?).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        attempt += 1;
        if attempt >= TRIES || !error.is_transient() {
            return Err(error);
        }
        tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(attempt)).await;
    }
}

async fn once(http: &Client, request: Request) -> Result<Response, Error> {
    let (method, url) = (name(request.method()), request.url().clone());
    let response = http.execute(request).await.map_err(|error| transport(method, &url, error))?;
    if response.status().is_success() { Ok(response) } else { Err(refusal(method, &url, response).await) }
}

/// An answer that is no success, with the server's own words, be they XML or JSON.
async fn refusal(method: &'static str, url: &Url, response: Response) -> Error {
    let status = response.status().as_u16();
    let header = |name: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned)
    };
    let mut region = header("x-amz-bucket-region");
    let mut code = header("x-ms-error-code").unwrap_or_default();
    let mut message = String::new();
    let body = read(response, MAX_ERROR).await.unwrap_or_default();
    if body.trim_ascii_start().starts_with(b"{") {
        (code, message) = json_refusal(&body);
    } else {
        // Servers of all kinds answer; what is no XML has nothing to say.
        let _ = xml::texts(&body, |path, text| match path.rsplit('/').next() {
            Some("Code") => code = text,
            Some("Message") => text.lines().next().unwrap_or_default().clone_into(&mut message),
            Some("Region") => region = Some(text),
            _ => {}
        });
    }
    Error::Status { method, url: display(url), status, code, message, region }
}

fn json_refusal(body: &[u8]) -> (String, String) {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let error = &value["error"];
    if error.is_string() {
        let description = text(&value["error_description"]);
        return (text(error), description.lines().next().unwrap_or_default().to_owned());
    }
    if let Some(code) = value["__type"].as_str() {
        // Amazon's services that speak JSON, in both spellings.
        let message = if value["message"].is_string() { &value["message"] } else { &value["Message"] };
        return (code.rsplit('#').next().unwrap_or(code).to_owned(), text(message));
    }
    if let Some(first) = value["errors"].get(0) {
        // As registries answer.
        return (text(&first["code"]), text(&first["message"]));
    }
    (text(&error["status"]), text(&error["message"]))
}

/// Reads a bounded body.
pub async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, Error> {
    let url = response.url().clone();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transport("GET", &url, error))? {
        if body.len() + chunk.len() > limit {
            let problem = format!("the answer is larger than {limit} bytes");
            return Err(Error::Answer { url: display(&url), problem });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What to say of a connection that failed.
pub fn transport(method: &'static str, url: &Url, error: reqwest::Error) -> Error {
    Error::Transport { method, url: display(url), cause: chain(&error.without_url()) }
}

/// A request without a body.
pub fn get(url: &str) -> Result<Request, Error> {
    Ok(Request::new(Method::GET, parse(url)?))
}

/// A request with a form.
pub fn post_form(http: &Client, url: &str, form: &[(&str, &str)]) -> Result<Request, Error> {
    let url = parse(url)?;
    let shown = display(&url);
    let request = http.post(url).form(form).build();
    request.map_err(|error| Error::Answer { url: shown, problem: error.without_url().to_string() })
}

/// Sets a header; `secret` values are not shown anywhere.
pub fn header(request: &mut Request, name: &'static str, value: &str, secret: bool) -> Result<(), Error> {
    let mut value = reqwest::header::HeaderValue::from_str(value).map_err(|_| {
        Error::Credentials(format!("the header {name} would have characters that HTTP forbids"))
    })?;
    value.set_sensitive(secret);
    request.headers_mut().insert(name, value);
    Ok(())
}

/// A request with a JSON body of this media type.
pub fn post_json(url: &str, media_type: &str, body: &str) -> Result<Request, Error> {
    let mut request = Request::new(Method::POST, parse(url)?);
    header(&mut request, "content-type", media_type, false)?;
    *request.body_mut() = Some(body.to_owned().into());
    Ok(request)
}

fn parse(url: &str) -> Result<Url, Error> {
    let problem = |error| Error::Options(format!("the endpoint makes no valid URL: {error}"));
    Url::parse(url).map_err(problem)
}

fn name(method: &Method) -> &'static str {
    match *method {
        Method::POST => "POST",
        Method::PUT => "PUT",
        _ => "GET",
    }
}

/// Percent-encodes all but what RFC 3986 leaves alone; slashes too unless they are to be `kept`.
pub fn encode(text: &str, keep_slashes: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte as char),
            b'/' if keep_slashes => encoded.push('/'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// In lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
