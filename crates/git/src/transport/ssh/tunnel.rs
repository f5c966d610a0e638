//! Ways to SSH servers through proxies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use sluice_http::Proxy;
use tokio::net::TcpStream;
use tower::Service;

use crate::error::{CredentialPart, Error};

/// A connection to `host` (an IPv6 address in brackets) that the proxy makes: by SOCKS, or by CONNECT of HTTP.
pub(super) async fn dial(proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, Error> {
    let unusable =
        |reason: &str| Error::Credential { part: CredentialPart::Proxy, reason: reason.to_owned() };
    let address: Uri = proxy.address.parse().map_err(|_| unusable("its address is no URL"))?;
    let target: Uri = format!("ssh://{host}:{port}").parse().map_err(|_| unusable("the host is no name"))?;
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    let login = proxy.username.as_ref().map(|user| (user, proxy.password.as_deref().unwrap_or_default()));
    match address.scheme_str() {
        Some("http") => {
            let mut tunnel = Tunnel::new(address, connector);
            if let Some((user, password)) = login {
                let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
                let basic = HeaderValue::try_from(basic);
                tunnel = tunnel.with_auth(basic.map_err(|_| unusable("its login is no text"))?);
            }
            pass(tunnel, target).await
        }
        Some("socks5" | "socks5h") => {
            let mut socks = SocksV5::new(address, connector);
            if let Some((user, password)) = login {
                socks = socks.with_auth(user.clone(), password.to_owned());
            }
            pass(socks, target).await
        }
        _ => Err(unusable("SSH passes proxies of the schemes http and socks5 only")),
    }
}

async fn pass<S>(mut proxy: S, target: Uri) -> Result<TcpStream, Error>
where
    S: Service<Uri, Response = TokioIo<TcpStream>, Error: std::error::Error + Send + Sync + 'static>,
{
    let made = match std::future::poll_fn(|context| proxy.poll_ready(context)).await {
        Ok(()) => proxy.call(target.clone()).await,
        Err(error) => Err(error),
    };
    made.map(TokioIo::into_inner).map_err(|source| Error::Transport {
        action: format!(
            "cannot reach {} through the proxy",
            target.authority().map_or("", |name| name.as_str())
        ),
        source: Box::new(source),
    })
}
