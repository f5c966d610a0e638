//! References of a remote.

use super::advertisement::Capabilities;
use super::packet::{Packet, Packets, Request, line};
use crate::error::Error;
use crate::object::ObjectId;

/// So many references are kept of one listing.
const MAX_REFERENCES: usize = 1_000_000;

/// A reference as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRef {
    /// Its full name.
    pub name: String,
    /// The object it names.
    pub id: ObjectId,
    /// The object that the tag points at, if it names an annotated tag.
    pub peeled: Option<ObjectId>,
}

impl RemoteRef {
    /// The commit: that of the tag, if it names one.
    pub fn commit(&self) -> ObjectId {
        self.peeled.unwrap_or(self.id)
    }
}

/// Which references are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RefFilter {
    /// All.
    All,
    /// Exactly these names.
    Names(Vec<String>),
    /// Those that begin so.
    Prefix(String),
}

impl RefFilter {
    pub(crate) fn accepts(&self, name: &str) -> bool {
        match self {
            RefFilter::All => true,
            RefFilter::Names(names) => names.iter().any(|n| n == name),
            RefFilter::Prefix(prefix) => name.starts_with(prefix.as_str()),
        }
    }

    fn prefixes(&self) -> &[String] {
        match self {
            RefFilter::All => &[],
            RefFilter::Names(names) => names,
            RefFilter::Prefix(prefix) => std::slice::from_ref(prefix),
        }
    }
}

/// The request of protocol version 2.
pub(crate) fn request(capabilities: &Capabilities, filter: &RefFilter) -> Vec<u8> {
    let mut request = Request::default();
    request.line("command=ls-refs");
    capabilities.introduce(&mut request);
    request.delimiter().line("peel").line("symrefs");
    for prefix in filter.prefixes() {
        request.line(&format!("ref-prefix {prefix}"));
    }
    request.flush();
    request.into_bytes()
}

/// The answer to it.
pub(crate) async fn read(packets: &mut Packets<'_>, filter: &RefFilter) -> Result<Vec<RemoteRef>, Error> {
    let mut found = Vec::new();
    loop {
        let data = match packets.next().await? {
            Some(Packet::Data(data)) => data,
            Some(Packet::Flush) => return Ok(found),
            Some(_) => return Err(Error::protocol("unexpected packet in a list of references")),
            None => return Err(Error::protocol("the list of references is cut off")),
        };
        let malformed = || Error::protocol("malformed line in a list of references");
        let text = std::str::from_utf8(line(data)).map_err(|_| malformed())?;
        let mut words = text.split(' ');
        let (Some(id), Some(name)) = (words.next(), words.next()) else { return Err(malformed()) };
        if id == "unborn" {
            continue;
        }
        let id = id.parse().map_err(|()| malformed())?;
        let peeled = words.find_map(|word| word.strip_prefix("peeled:"));
        let peeled = peeled.map(|id| id.parse().map_err(|()| malformed())).transpose()?;
        if filter.accepts(name) {
            push(&mut found, RemoteRef { name: name.to_owned(), id, peeled })?;
        }
    }
}

pub(crate) fn push(found: &mut Vec<RemoteRef>, reference: RemoteRef) -> Result<(), Error> {
    if found.len() >= MAX_REFERENCES {
        return Err(Error::protocol(format!("the server lists more than {MAX_REFERENCES} references")));
    }
    found.push(reference);
    Ok(())
}
