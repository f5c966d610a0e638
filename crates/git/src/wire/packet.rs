//! Packet lines: four hexadecimal digits of length, then the content.

use tokio::io::{AsyncBufRead, AsyncReadExt as _};

use crate::error::Error;

/// What a server's answer is read from.
pub(crate) type Stream<'a> = Box<dyn AsyncBufRead + Send + Unpin + 'a>;

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    Data(&'a [u8]),
    Flush,
    Delimiter,
    ResponseEnd,
}

/// Reads packets; holds one at a time.
pub(crate) struct Packets<'a> {
    stream: Stream<'a>,
    buffer: Vec<u8>,
}

impl<'a> Packets<'a> {
    pub(crate) fn new(stream: Stream<'a>) -> Self {
        Packets { stream, buffer: Vec::new() }
    }

    /// The next packet; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Packet<'_>>, Error> {
        let mut head = [0; 4];
        match self.stream.read(&mut head).await.map_err(broken)? {
            0 => return Ok(None),
            length => self.stream.read_exact(&mut head[length..]).await.map_err(broken)?,
        };
        let length = std::str::from_utf8(&head).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let length = length.ok_or_else(|| Error::protocol("a packet has no length"))?;
        match length {
            0 => return Ok(Some(Packet::Flush)),
            1 => return Ok(Some(Packet::Delimiter)),
            2 => return Ok(Some(Packet::ResponseEnd)),
            3 => return Err(Error::protocol("a packet is shorter than its head")),
            _ => {}
        }
        self.buffer.resize(length - 4, 0);
        self.stream.read_exact(&mut self.buffer).await.map_err(broken)?;
        if let Some(message) = self.buffer.strip_prefix(b"ERR ") {
            return Err(Error::Remote(text(message).trim_end().to_owned()));
        }
        Ok(Some(Packet::Data(&self.buffer)))
    }
}

/// A line without its newline.
pub(crate) fn line(data: &[u8]) -> &[u8] {
    data.strip_suffix(b"\n").unwrap_or(data)
}

/// Server text for people: control characters have no place in it, nor has a novel.
pub(crate) fn text(data: &[u8]) -> String {
    let text = String::from_utf8_lossy(&data[..data.len().min(1000)]);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn broken(error: std::io::Error) -> Error {
    let action = if error.kind() == std::io::ErrorKind::UnexpectedEof {
        "the server closed the connection early"
    } else {
        "the connection broke"
    };
    Error::Transport { action: action.to_owned(), source: Box::new(error) }
}

/// Builds a request.
#[derive(Debug, Default)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    pub(crate) fn line(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(format!("{:04x}{text}\n", text.len() + 5).as_bytes());
        self
    }

    pub(crate) fn delimiter(&mut self) -> &mut Self {
        self.0.extend_from_slice(b"0001");
        self
    }

    pub(crate) fn flush(&mut self) -> &mut Self {
        self.0.extend_from_slice(b"0000");
        self
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> Result<Vec<String>, Error> {
        let mut packets = Packets::new(Box::new(bytes));
        let mut seen = Vec::new();
        while let Some(packet) = packets.next().await? {
            seen.push(match packet {
                Packet::Data(data) => text(data),
                other => format!("{other:?}"),
            });
        }
        Ok(seen)
    }

    #[tokio::test]
    async fn packets_are_read_and_bad_ones_refused() {
        assert_eq!(
            read(b"0006a\n0000000100020004").await.unwrap(),
            ["a ", "Flush", "Delimiter", "ResponseEnd", ""]
        );
        for bad in [&b"000"[..], b"0003", b"zzzz", b"0008abc", b"-001", b"00\xff0"] {
            assert!(read(bad).await.is_err(), "{bad:?}");
        }
        let error = read(b"000eERR no\x1bway").await.unwrap_err();
        assert_eq!(error.to_string(), "the server answered: no way");
    }
}
