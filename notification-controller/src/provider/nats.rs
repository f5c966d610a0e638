//! NATS: its text protocol, as far as one message needs it.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::pki_types::ServerName;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::http::Error as HttpError;
use super::{Error, Target};
use crate::event::Event;

const PORT: u16 = 4222;
/// Longest line of a server.
const MAX_LINE: u64 = 64 * 1024;

/// What a server says of itself first.
#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    tls_required: bool,
    #[serde(default)]
    max_payload: Option<usize>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

fn refused(problem: impl std::fmt::Display) -> Error {
    HttpError::Refused(problem.to_string()).into()
}

/// `nats`: the event as JSON, to the subject that is the channel.
pub(crate) async fn publish(target: &Target, event: &Event) -> Result<(), Error> {
    let subject = target.required_channel()?;
    if subject.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Error::Config(format!("spec.channel '{subject}' is no subject of NATS")));
    }
    let payload = serde_json::to_vec(event).map_err(|error| Error::Event(error.to_string()))?;
    let mut problem = Error::Config("provider type 'nats' needs spec.address".to_owned());
    // A cluster is a list of servers.
    for server in target.address.split(',').map(str::trim).filter(|server| !server.is_empty()) {
        match publish_to(target, server, subject, &payload).await {
            Ok(()) => return Ok(()),
            Err(error) => problem = error,
        }
    }
    Err(problem)
}

async fn publish_to(target: &Target, server: &str, subject: &str, payload: &[u8]) -> Result<(), Error> {
    let url = if server.contains("://") { server.to_owned() } else { format!("nats://{server}") };
    let url = reqwest::Url::parse(&url)
        .map_err(|error| Error::Config(format!("the address of the provider is invalid: {error}")))?;
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let tcp = connect(target, &host, url.port().unwrap_or(PORT)).await?;
    let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(Box::new(tcp));
    let greeting = line(&mut stream).await?;
    let info: Info = greeting
        .strip_prefix("INFO ")
        .and_then(|info| serde_json::from_str(info).ok())
        .ok_or_else(|| refused("the server does not speak NATS"))?;
    if info.max_payload.is_some_and(|max| payload.len() > max) {
        return Err(refused("the event is larger than the server takes"));
    }
    let tls = url.scheme() == "tls" || info.tls_required;
    if tls {
        stream = BufReader::new(Box::new(encrypt(target, &host, stream.into_inner()).await?));
    }
    let hello = connect_options(target, &info, tls)?;
    let mut message = format!("CONNECT {hello}\r\nPUB {subject} {}\r\n", payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message.extend_from_slice(b"\r\nPING\r\n");
    stream.write_all(&message).await.map_err(refused)?;
    stream.flush().await.map_err(refused)?;
    loop {
        let answer = line(&mut stream).await?;
        if answer == "PONG" {
            return Ok(());
        }
        if answer == "PING" {
            stream.write_all(b"PONG\r\n").await.map_err(refused)?;
        } else if let Some(error) = answer.strip_prefix("-ERR") {
            return Err(refused(format!("NATS responded with error: {}", error.trim())));
        }
    }
}

async fn connect(target: &Target, host: &str, port: u16) -> Result<TcpStream, Error> {
    let addresses: Vec<SocketAddr> = target.policy.resolve(host, port).await.map_err(refused)?;
    TcpStream::connect(&addresses[..])
        .await
        .map_err(|error| refused(format!("cannot connect to {host}:{port}: {error}")))
}

async fn encrypt(target: &Target, host: &str, stream: Box<dyn Stream>) -> Result<impl Stream + use<>, Error> {
    let config = super::target::tls(&target.credentials).map_err(Error::Config)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| Error::Config(error.to_string()))?;
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(refused)
}

async fn line(stream: &mut BufReader<Box<dyn Stream>>) -> Result<String, Error> {
    use tokio::io::AsyncReadExt;
    let mut line = String::new();
    stream.take(MAX_LINE).read_line(&mut line).await.map_err(refused)?;
    if !line.ends_with('\n') {
        return Err(refused("the server closed the connection"));
    }
    Ok(line.trim_end().to_owned())
}

/// Who we are: by a login file, else by a seed, else by name and password.
fn connect_options(target: &Target, info: &Info, tls: bool) -> Result<Value, Error> {
    let mut options = json!({
        "verbose": false, "pedantic": false, "tls_required": tls, "lang": "rust", "protocol": 1,
        "version": env!("CARGO_PKG_VERSION"), "name": "NATS Provider Publisher",
    });
    let credentials = &target.credentials;
    let nonce = info.nonce.as_deref().unwrap_or_default();
    if let Some(creds) = &credentials.nats_creds {
        let jwt = section(creds, "NATS USER JWT")?;
        let key = key_pair(section(creds, "USER NKEY SEED")?)?;
        options["jwt"] = jwt.into();
        options["sig"] = URL_SAFE_NO_PAD.encode(key.sign(nonce.as_bytes())).into();
    } else if let Some(seed) = &credentials.nats_seed {
        let key = key_pair(seed.trim())?;
        options["nkey"] = public_key(&key).into();
        options["sig"] = URL_SAFE_NO_PAD.encode(key.sign(nonce.as_bytes())).into();
    } else if let Some(password) = &credentials.password {
        options["user"] = target.username.as_str().into();
        options["pass"] = password.as_str().into();
    }
    Ok(options)
}

/// The text between the lines that begin and end a section.
fn section<'a>(text: &'a str, name: &str) -> Result<&'a str, Error> {
    let begin = format!("-----BEGIN {name}-----");
    let rest = text.split_once(&begin).map(|(_, rest)| rest);
    let found =
        rest.and_then(|rest| rest.split_once("-----")).map(|(found, _)| found.trim().trim_end_matches('-'));
    found.map(str::trim).ok_or_else(|| Error::Config(format!("the key 'creds' has no section '{name}'")))
}

fn key_pair(seed: &str) -> Result<Ed25519KeyPair, Error> {
    let invalid = || Error::Config("the seed is no seed of a NATS user".to_owned());
    let bytes = from_base32(seed).filter(|bytes| bytes.len() == 36).ok_or_else(invalid)?;
    let (content, checksum) = bytes.split_at(34);
    // Two prefixes share the first bytes: that of seeds, and that of users.
    let user = content[0] & 0xf8 == 18 << 3 && ((content[0] & 7) << 5 | (content[1] & 0xf8) >> 3) == 20 << 3;
    if !user || crc16(content).to_le_bytes() != checksum {
        return Err(invalid());
    }
    Ed25519KeyPair::from_seed_unchecked(&content[2..]).map_err(|_| invalid())
}

fn public_key(key: &Ed25519KeyPair) -> String {
    let mut bytes = vec![20 << 3];
    bytes.extend_from_slice(key.public_key().as_ref());
    bytes.extend_from_slice(&crc16(&bytes).to_le_bytes());
    to_base32(&bytes)
}

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for character in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == character)?;
        bits = bits << 5 | u32::try_from(value).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

fn to_base32(bytes: &[u8]) -> String {
    let (mut bits, mut count, mut text) = (0_u32, 0, String::new());
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(char::from(ALPHABET[(bits >> count) as usize & 31]));
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        text.push(char::from(ALPHABET[(bits << (5 - count)) as usize & 31]));
    }
    text
}

/// CRC-16 of XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |mut crc, byte| {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_form_of_nkeys() {
        let mut bytes = vec![18 << 3 | (20 << 3) >> 5, ((20 << 3) & 31) << 3];
        bytes.extend_from_slice(&[7; 32]);
        bytes.extend_from_slice(&crc16(&bytes).to_le_bytes());
        let seed = to_base32(&bytes);
        assert!(seed.starts_with("SU") && seed.len() == 58, "{seed}");
        let public = public_key(&key_pair(&seed).unwrap());
        assert!(public.starts_with('U') && public.len() == 56, "{public}");
        assert!(key_pair(&seed.replace("SU", "SA")).is_err());
        assert!(key_pair("SU").is_err());
        assert_eq!(crc16(b"123456789"), 0x31c3, "the published check value");
        assert_eq!(
            (to_base32(b"foobar").as_str(), from_base32("MZXW6YTBOI")),
            ("MZXW6YTBOI", Some(b"foobar".to_vec()))
        );
    }
}
