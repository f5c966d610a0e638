//! What a server says first: its version, what it can do and, before version 2, its references.

use super::packet::{Packet, Packets, Request, line, text};
use super::refs::{RefFilter, RemoteRef, push};
use crate::error::Error;
use crate::object::ObjectId;

/// More capabilities than any server has.
const MAX_CAPABILITIES: usize = 1000;

pub(crate) const AGENT: &str = concat!("agent=git/sluice-", env!("CARGO_PKG_VERSION"));

/// The version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// References come at once; also version 1, which differs in its first line only.
    V0,
    /// Commands.
    V2,
}

/// What a server can do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Capabilities(Vec<String>);

impl Capabilities {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The value after the equals sign; empty if there is none.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|capability| {
            let rest = capability.strip_prefix(name)?;
            if rest.is_empty() { Some("") } else { rest.strip_prefix('=') }
        })
    }

    /// The lines with which every command of version 2 begins.
    pub(crate) fn introduce(&self, request: &mut Request) {
        if self.has("agent") {
            request.line(AGENT);
        }
        if self.has("object-format") {
            request.line("object-format=sha1");
        }
    }

    fn check_format(&self) -> Result<(), Error> {
        match self.value("object-format") {
            None | Some("sha1") => Ok(()),
            Some(other) => Err(Error::ObjectFormat(text(other.as_bytes()))),
        }
    }
}

/// What a server says first.
#[derive(Debug, Clone)]
pub(crate) struct Advertisement {
    pub(crate) version: Version,
    pub(crate) capabilities: Capabilities,
    /// The references that the filter accepts; none in version 2.
    pub(crate) refs: Vec<RemoteRef>,
    /// Whether there is any reference at all; not known in version 2.
    pub(crate) any_ref: bool,
}

/// Reads what a server says first.
pub(crate) async fn read(packets: &mut Packets<'_>, filter: &RefFilter) -> Result<Advertisement, Error> {
    let mut first = next_line(packets).await?;
    if first.as_deref().is_some_and(|l| l.starts_with(b"# service=")) {
        // The flush after the announcement.
        next_line(packets).await?;
        first = next_line(packets).await?;
    }
    match first.as_deref() {
        Some(b"version 2") => read_v2(packets).await,
        Some(b"version 1") => {
            let first = next_line(packets).await?;
            read_v0(packets, first, filter).await
        }
        _ => read_v0(packets, first, filter).await,
    }
}

async fn next_line(packets: &mut Packets<'_>) -> Result<Option<Vec<u8>>, Error> {
    match packets.next().await? {
        Some(Packet::Data(data)) => Ok(Some(line(data).to_vec())),
        Some(_) => Ok(None),
        None => Err(Error::protocol("the server closed the connection before it said anything")),
    }
}

async fn read_v2(packets: &mut Packets<'_>) -> Result<Advertisement, Error> {
    let mut capabilities = Capabilities::default();
    while let Some(line) = next_line(packets).await? {
        if capabilities.0.len() < MAX_CAPABILITIES {
            capabilities.0.push(String::from_utf8_lossy(&line).into_owned());
        }
    }
    capabilities.check_format()?;
    Ok(Advertisement { version: Version::V2, capabilities, refs: Vec::new(), any_ref: true })
}

async fn read_v0(
    packets: &mut Packets<'_>,
    first: Option<Vec<u8>>,
    filter: &RefFilter,
) -> Result<Advertisement, Error> {
    let mut advertisement = Advertisement {
        version: Version::V0,
        capabilities: Capabilities::default(),
        refs: Vec::new(),
        any_ref: false,
    };
    let Some(first) = first else { return Ok(advertisement) };
    let (reference, capabilities) = match first.iter().position(|b| *b == 0) {
        Some(at) => (&first[..at], &first[at + 1..]),
        None => (&first[..], &b""[..]),
    };
    let capabilities = String::from_utf8_lossy(capabilities);
    advertisement.capabilities.0 =
        capabilities.split_whitespace().take(MAX_CAPABILITIES).map(str::to_owned).collect();
    advertisement.capabilities.check_format()?;
    let mut next = Some(reference.to_vec());
    while let Some(line) = next {
        advertisement.reference(&line, filter)?;
        next = next_line(packets).await?;
    }
    Ok(advertisement)
}

impl Advertisement {
    fn reference(&mut self, line: &[u8], filter: &RefFilter) -> Result<(), Error> {
        let malformed = || Error::protocol(format!("malformed reference {:?}", text(line)));
        let line = std::str::from_utf8(line).map_err(|_| malformed())?;
        let (id, name) = line.split_once(' ').ok_or_else(malformed)?;
        // A server with a shallow repository says so here.
        if id == "shallow" {
            return Ok(());
        }
        let id: ObjectId = id.parse().map_err(|()| malformed())?;
        if let Some(tag) = name.strip_suffix("^{}") {
            if let Some(last) = self.refs.last_mut().filter(|last| last.name == tag) {
                last.peeled = Some(id);
            }
            return Ok(());
        }
        if id.is_null() {
            return Ok(());
        }
        self.any_ref = true;
        if filter.accepts(name) {
            push(&mut self.refs, RemoteRef { name: name.to_owned(), id, peeled: None })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn parse(bytes: &[u8]) -> Result<Advertisement, Error> {
        read(&mut Packets::new(Box::new(bytes)), &RefFilter::All).await
    }

    fn packets(lines: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in lines {
            if line.is_empty() {
                out.extend_from_slice(b"0000");
            } else {
                out.extend_from_slice(format!("{:04x}", line.len() + 4).as_bytes());
                out.extend_from_slice(line);
            }
        }
        out
    }

    const ID: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    #[tokio::test]
    async fn version_2_lists_capabilities_only() {
        let bytes = packets(&[
            b"# service=git-upload-pack\n",
            b"",
            b"version 2\n",
            b"agent=x\n",
            b"fetch=shallow filter\n",
            b"",
        ]);
        let advertisement = parse(&bytes).await.unwrap();
        assert_eq!(advertisement.version, Version::V2);
        assert_eq!(advertisement.capabilities.value("fetch"), Some("shallow filter"));
        assert!(!advertisement.capabilities.has("fet"));
        let sha256 = packets(&[b"version 2\n", b"object-format=sha256\n", b""]);
        assert!(matches!(parse(&sha256).await, Err(Error::ObjectFormat(_))));
    }

    #[tokio::test]
    async fn older_versions_list_references_too() {
        for first in [&[][..], &[&b"version 1\n"[..]], &[b"# service=git-upload-pack\n", b""]] {
            let tag = format!("{ID} refs/tags/v1\n");
            let peeled = format!("{} refs/tags/v1^{{}}\n", ID.replace('c', "d"));
            let head = format!("{ID} HEAD\0side-band-64k shallow symref=HEAD:refs/heads/x\n");
            let lines = [first, &[head.as_bytes(), tag.as_bytes(), peeled.as_bytes(), b""]].concat();
            let advertisement = parse(&packets(&lines)).await.unwrap();
            assert_eq!(advertisement.version, Version::V0);
            assert_eq!(advertisement.refs.len(), 2);
            assert_eq!(advertisement.refs[1].commit().to_string(), ID.replace('c', "d"));
            assert!(advertisement.capabilities.has("shallow"));
        }
    }

    #[tokio::test]
    async fn an_empty_repository_has_no_reference() {
        let none = format!("{} capabilities^{{}}\0shallow\n", "0".repeat(40));
        let advertisement = parse(&packets(&[none.as_bytes(), b""])).await.unwrap();
        assert!(advertisement.refs.is_empty() && !advertisement.any_ref);
        assert!(parse(b"").await.is_err());
        assert!(parse(&packets(&[b"<html>\n", b""])).await.is_err());
    }
}
