//! Asking for a pack.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::advertisement::{AGENT, Advertisement, Capabilities, Version};
use super::packet::{Packet, Packets, Request, line, text};
use crate::error::Error;
use crate::object::ObjectId;

/// What is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Want {
    pub(crate) ids: Vec<ObjectId>,
    /// Without history where the server can do that; else with all of it.
    pub(crate) shallow: bool,
    /// Commits that are here without history; what they hold need not be sent.
    pub(crate) haves: Vec<ObjectId>,
}

/// The request for `want`.
pub(crate) fn request(server: &Advertisement, want: &Want) -> Result<Vec<u8>, Error> {
    let mut request = Request::default();
    match server.version {
        Version::V2 => request_v2(&mut request, &server.capabilities, want)?,
        Version::V0 => request_v0(&mut request, &server.capabilities, want)?,
    }
    Ok(request.into_bytes())
}

fn request_v2(request: &mut Request, server: &Capabilities, want: &Want) -> Result<(), Error> {
    let features = server.value("fetch").ok_or_else(|| Error::protocol("the server offers no fetch"))?;
    request.line("command=fetch");
    server.introduce(request);
    request.delimiter().line("no-progress").line("ofs-delta");
    let shallow = want.shallow && features.split(' ').any(|feature| feature == "shallow");
    let haves: &[ObjectId] = if shallow { &want.haves } else { &[] };
    if !haves.is_empty() {
        request.line("thin-pack");
    }
    for id in haves {
        request.line(&format!("shallow {id}"));
    }
    if shallow {
        request.line("deepen 1");
    }
    for id in &want.ids {
        request.line(&format!("want {id}"));
    }
    for id in haves {
        request.line(&format!("have {id}"));
    }
    request.line("done").flush();
    Ok(())
}

fn request_v0(request: &mut Request, server: &Capabilities, want: &Want) -> Result<(), Error> {
    if !server.has("side-band-64k") {
        return Err(Error::protocol("the server offers no side-band-64k"));
    }
    let mut features = String::from("side-band-64k");
    let shallow = want.shallow && server.has("shallow");
    let haves: &[ObjectId] = if shallow { &want.haves } else { &[] };
    for feature in ["ofs-delta", "no-progress", "thin-pack"] {
        if server.has(feature) && (feature != "thin-pack" || !haves.is_empty()) {
            features.push(' ');
            features.push_str(feature);
        }
    }
    if server.has("agent") {
        features.push(' ');
        features.push_str(AGENT);
    }
    for (index, id) in want.ids.iter().enumerate() {
        if index == 0 {
            request.line(&format!("want {id} {features}"));
        } else {
            request.line(&format!("want {id}"));
        }
    }
    for id in haves {
        request.line(&format!("shallow {id}"));
    }
    if shallow {
        request.line("deepen 1");
    }
    request.flush();
    for id in haves {
        request.line(&format!("have {id}"));
    }
    request.line("done");
    Ok(())
}

/// Reads the answer up to the pack.
pub(crate) async fn begin(packets: &mut Packets<'_>, version: Version) -> Result<(), Error> {
    loop {
        let packet =
            packets.next().await?.ok_or_else(|| Error::protocol("the answer ended before the pack"))?;
        let Packet::Data(data) = packet else { continue };
        let data = line(data);
        match version {
            Version::V2 if data == b"packfile" => return Ok(()),
            // Without more of the protocol being asked for, one of them comes, once.
            Version::V0 if data == b"NAK" || data.starts_with(b"ACK ") => return Ok(()),
            // Headings and content of the sections before the pack say nothing that is needed here.
            Version::V2 => {}
            Version::V0 if data.starts_with(b"shallow ") || data.starts_with(b"unshallow ") => {}
            Version::V0 => return Err(Error::protocol(format!("unexpected answer {:?}", text(data)))),
        }
    }
}

/// Passes the pack on, piece by piece, until its end. A closed receiver is no failure here: it has one of its own.
pub(crate) async fn receive(packets: &mut Packets<'_>, pack: &mpsc::Sender<Bytes>) -> Result<(), Error> {
    loop {
        let data = match packets.next().await? {
            Some(Packet::Data(data)) => data,
            Some(Packet::Flush | Packet::ResponseEnd) | None => return Ok(()),
            Some(Packet::Delimiter) => return Err(Error::protocol("unexpected packet in a pack")),
        };
        match data.split_first() {
            Some((1, data)) => {
                if pack.send(Bytes::copy_from_slice(data)).await.is_err() {
                    return Ok(());
                }
            }
            Some((3, message)) => return Err(Error::Remote(text(message).trim_end().to_owned())),
            // Progress, and empty packets that keep the connection alive.
            Some((2, _)) | None => {}
            Some(_) => return Err(Error::protocol("unexpected band in a pack")),
        }
    }
}
