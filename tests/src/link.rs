//! A connection between two parts that can be cut, slowed down and stalled.

use anyhow::Result;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How a link is at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Bytes pass.
    Up,
    /// Connections break, and new ones are closed at once.
    Cut,
    /// Each piece of at most 16 KiB takes so long.
    Slow(Duration),
    /// Connections stay and nothing passes, as when a cable is pulled.
    Stalled,
}

/// A TCP proxy on loopback in front of one address. It ends with this value.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    state: watch::Sender<LinkState>,
    target: Arc<Mutex<String>>,
    task: tokio::task::JoinHandle<()>,
}

/// What passes at a time.
const PIECE: usize = 16 << 10;

impl Link {
    /// Starts it in front of `target`, `host:port`.
    pub async fn start(target: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = watch::Sender::new(LinkState::Up);
        let target = Arc::new(Mutex::new(target.to_owned()));
        let (states, to) = (state.clone(), target.clone());
        let task = tokio::spawn(async move {
            // Connections end with the set.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((outside, _)) = listener.accept().await {
                let state = states.subscribe();
                let to = to.lock().unwrap_or_else(PoisonError::into_inner).clone();
                connections.spawn(connection(outside, to, state));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, state, target, task })
    }

    /// Its own address, `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Leads new connections elsewhere.
    pub fn lead_to(&self, target: &str) {
        target.clone_into(&mut self.target.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// How it is from now on, for the connections that are there too.
    pub fn set(&self, state: LinkState) {
        self.state.send_replace(state);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(outside: TcpStream, target: String, mut state: watch::Receiver<LinkState>) {
    if *state.borrow() == LinkState::Cut {
        return;
    }
    let Ok(inside) = TcpStream::connect(target).await else { return };
    let (outside, inside) = (outside.into_split(), inside.into_split());
    let (to, back) = (state.clone(), state.clone());
    let both = async { tokio::join!(pass(outside.0, inside.1, to), pass(inside.0, outside.1, back)) };
    tokio::select! {
        _ = both => {}
        _ = state.wait_for(|state| *state == LinkState::Cut) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<LinkState>,
) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        let now = *state.borrow_and_update();
        if let LinkState::Slow(time) = now {
            tokio::time::sleep(time).await;
        }
        // A sender that is gone leaves everything as it is.
        let _ = state.wait_for(|state| *state != LinkState::Stalled).await;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..length]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_passes_stalls_and_is_cut() -> Result<()> {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let link = Link::start(&server.local_addr()?.to_string()).await?;
        let mut client = TcpStream::connect(link.address()).await?;
        let (mut there, _) = server.accept().await?;
        client.write_all(b"a").await?;
        assert_eq!(there.read_u8().await?, b'a');
        link.set(LinkState::Stalled);
        client.write_all(b"b").await?;
        let heard = tokio::time::timeout(Duration::from_millis(100), there.read_u8()).await;
        assert!(heard.is_err(), "nothing passes");
        link.set(LinkState::Up);
        assert_eq!(there.read_u8().await?, b'b');
        link.set(LinkState::Cut);
        assert!(there.read_u8().await.is_err(), "the connection ends");
        let mut next = TcpStream::connect(link.address()).await?;
        assert_eq!(next.read(&mut [0]).await?, 0, "new ones are closed");
        Ok(())
    }
}
