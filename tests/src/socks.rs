//! A SOCKS proxy (RFC 1928) with a login (RFC 1929).

use anyhow::{Result, bail, ensure};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A proxy on loopback that wants a user name and a password. It ends with the value.
#[derive(Debug)]
pub struct SocksProxy {
    address: String,
    passed: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl SocksProxy {
    /// Starts it on a free port.
    pub async fn start(username: &str, password: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("socks5://{}", listener.local_addr()?);
        let passed = Arc::<Mutex<Vec<String>>>::default();
        let (log, login) = (passed.clone(), (username.to_owned(), password.to_owned()));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (log, login) = (log.clone(), login.clone());
                tokio::spawn(async move { serve(socket, &login, &log).await });
            }
        });
        Ok(Self { address, passed, task })
    }

    /// Its URL.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it let connections pass to so far, as `host:port`.
    pub fn passed(&self) -> Vec<String> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for SocksProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, login: &(String, String), log: &Mutex<Vec<String>>) -> Result<()> {
    ensure!(client.read_u8().await? == 5, "another version");
    let methods = sized(&mut client).await?;
    if !methods.contains(&2) {
        return Ok(client.write_all(&[5, 0xff]).await?);
    }
    client.write_all(&[5, 2]).await?;
    ensure!(client.read_u8().await? == 1, "another version of the login");
    let given = (sized(&mut client).await?, sized(&mut client).await?);
    if (given.0.as_slice(), given.1.as_slice()) != (login.0.as_bytes(), login.1.as_bytes()) {
        return Ok(client.write_all(&[1, 1]).await?);
    }
    client.write_all(&[1, 0]).await?;
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let host = match head {
        [5, 1, _, 1] => Ipv4Addr::from(client.read_u32().await?).to_string(),
        [5, 1, _, 3] => String::from_utf8(sized(&mut client).await?)?,
        other => bail!("{other:?} is not supported"),
    };
    let target = format!("{host}:{}", client.read_u16().await?);
    log.lock().unwrap_or_else(PoisonError::into_inner).push(target.clone());
    let mut server = TcpStream::connect(&target).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// What follows its length in one byte.
async fn sized(client: &mut TcpStream) -> Result<Vec<u8>> {
    let mut bytes = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}
