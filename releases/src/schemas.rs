//! Schemas on the web that the schema of a chart's values refers to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use reqwest::{Client, StatusCode, Url};
use sluice_helm::schema::{FetchSchema as _, NoFetch};
use sluice_http::AddressPolicy;
use tokio::sync::Semaphore;

/// How long one schema may take: as with helm.
const PATIENCE: Duration = Duration::from_secs(15);
/// How large one may be, in bytes.
const LIMIT: usize = 4 << 20;
/// So many are on their way at once.
const AT_ONCE: usize = 16;
/// So many addresses are remembered, and so many bytes of what was there.
const KEPT: (usize, usize) = (128, 16 << 20);
/// For how long what was there is taken for what is there.
const FRESH: Duration = Duration::from_mins(5);
/// For how long an address that failed is not asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// The text of a schema, or why there is none. What a server answered is never part of the reason.
pub type SchemaText = Result<Arc<[u8]>, String>;

/// Fetches schemas by http and https, and keeps them for a while: those who ask for the same one wait for one download.
/// Charts choose the addresses, so each is judged by a policy, as it is written, where its name leads, and at each redirect.
#[derive(Debug)]
pub struct Schemas {
    client: Client,
    policy: AddressPolicy,
    places: Semaphore,
    /// Those that were asked for last come first.
    kept: Mutex<VecDeque<Kept>>,
}

/// When it was asked, and what came.
type Slot = tokio::sync::Mutex<Option<(Instant, SchemaText)>>;

#[derive(Debug)]
struct Kept {
    url: String,
    slot: Arc<Slot>,
    size: usize,
}

impl Schemas {
    /// `agent` is who asks.
    ///
    /// # Errors
    ///
    /// No client can be made, such as where the system has no certificate authorities.
    pub fn new(agent: &str, policy: AddressPolicy) -> Result<Self, sluice_http::Error> {
        let options = sluice_http::Options {
            user_agent: agent.to_owned(),
            connect_timeout: PATIENCE,
            read_timeout: PATIENCE,
            ..sluice_http::Options::default()
        };
        let builder = sluice_http::builder(&options)?;
        let builder = builder.redirect(policy.redirects()).dns_resolver(policy.resolver());
        let client = sluice_http::finish(&options, builder)?;
        Ok(Self { client, policy, places: Semaphore::new(AT_ONCE), kept: Mutex::default() })
    }

    /// The schema at an address.
    pub async fn get(&self, url: &str) -> SchemaText {
        if !url.starts_with("http:") && !url.starts_with("https:") {
            return NoFetch.fetch(url).map(Arc::from);
        }
        let slot = self.slot(url);
        let mut slot = slot.lock().await;
        if let Some((when, known)) = &*slot
            && when.elapsed() < if known.is_ok() { FRESH } else { PAUSE }
        {
            return known.clone();
        }
        let text = match tokio::time::timeout(PATIENCE, self.fetch(url)).await {
            Ok(text) => text.map(Arc::<[u8]>::from),
            Err(_) => Err(failed(url, &format!("no whole answer within {} seconds", PATIENCE.as_secs()))),
        };
        *slot = Some((Instant::now(), text.clone()));
        self.note_size(url, text.as_ref().map_or(0, |text| text.len()));
        text
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, String> {
        // Never closed.
        let _place = self.places.acquire().await;
        let address = Url::parse(url).map_err(|error| failed(url, &error.to_string()))?;
        self.policy.check(&address).map_err(|refusal| failed(url, &refusal))?;
        let broken = |error: reqwest::Error| failed(url, &sluice_http::chain(&error.without_url()));
        let response = self.client.get(address).send().await.map_err(broken)?;
        let status = response.status();
        if status != StatusCode::OK {
            let reason = status.canonical_reason().unwrap_or_default();
            return Err(format!("HTTP request to {url} returned status {} ({reason})", status.as_u16()));
        }
        let (mut stream, mut text) = (response.bytes_stream(), Vec::new());
        while let Some(part) = stream.next().await {
            text.extend_from_slice(&part.map_err(broken)?);
            if text.len() > LIMIT {
                return Err(failed(url, &format!("the schema is larger than {} MiB", LIMIT >> 20)));
            }
        }
        Ok(text)
    }

    fn slot(&self, url: &str) -> Arc<Slot> {
        let mut kept = self.kept();
        let known = kept.iter().position(|known| known.url == url).and_then(|index| kept.remove(index));
        let known = known.unwrap_or_else(|| Kept { url: url.to_owned(), slot: Arc::default(), size: 0 });
        let slot = known.slot.clone();
        kept.push_front(known);
        kept.truncate(KEPT.0);
        slot
    }

    /// Notes how much is kept of an address, and forgets what was not asked for for longest when that is too much.
    fn note_size(&self, url: &str, size: usize) {
        let mut kept = self.kept();
        if let Some(known) = kept.iter_mut().find(|known| known.url == url) {
            known.size = size;
        }
        let mut sum = 0;
        kept.retain(|known| {
            sum += known.size;
            sum <= KEPT.1
        });
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In helm's words.
fn failed(url: &str, reason: &str) -> String {
    format!("HTTP request failed for {url}: {reason}")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn schemas(denied: &[&str]) -> Schemas {
        let rules = denied.iter().map(|rule| rule.parse().unwrap()).collect();
        Schemas::new("test", AddressPolicy::new("deny-schema-hosts", rules, vec![])).unwrap()
    }

    /// A server with an answer for each path; gives its address and the paths that were asked for.
    async fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let path = head.split(' ').nth(1).unwrap();
                noted.lock().unwrap().push(path.to_owned());
                // Who has seen enough goes.
                let _ = stream.write_all(&answer(path)).await;
            }
        });
        (address, asked)
    }

    fn ok(body: &str) -> Vec<u8> {
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes()
    }

    fn leading_to(place: &str) -> Vec<u8> {
        let head = "Content-Length: 0\r\nConnection: close";
        format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\n{head}\r\n\r\n").into_bytes()
    }

    #[tokio::test]
    async fn schemas_come_from_the_web_once_and_never_from_files() {
        let (address, asked) = serve(|path| match path {
            "/missing" => {
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\nConnection: close\r\n\r\ns3cret".to_vec()
            }
            "/moved" => leading_to("/a"),
            path => ok(&format!("\"{path}\"")),
        })
        .await;
        let web = schemas(&["metadata"]);
        let url = |path: &str| format!("{address}/{path}");
        let (first, second) = (url("a"), url("a"));
        let (first, second) = tokio::join!(web.get(&first), web.get(&second));
        assert_eq!(first.as_deref(), Ok(&b"\"/a\""[..]));
        assert_eq!(first, second);
        assert_eq!(web.get(&url("moved")).await, first);
        for _ in 0..2 {
            let missing = format!("HTTP request to {} returned status 404 (Not Found)", url("missing"));
            assert_eq!(web.get(&url("missing")).await, Err(missing));
        }
        assert_eq!(*asked.lock().unwrap(), ["/a", "/moved", "/a", "/missing"]);
        for other in ["file:///etc/hostname", "ftp://example.com/x"] {
            assert!(web.get(other).await.is_err(), "{other}");
        }
        drop(web);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = format!("http://{}/c", listener.local_addr().unwrap());
        drop(listener);
        let gone = schemas(&[]).get(&nobody).await.unwrap_err();
        assert!(gone.starts_with(&format!("HTTP request failed for {nobody}: ")), "{gone}");
    }

    #[tokio::test]
    async fn what_must_not_be_asked_is_not_whatever_leads_there() {
        let (address, asked) = serve(|path| match path {
            "/metadata" => leading_to("http://169.254.169.254/latest/meta-data"),
            "/file" => leading_to("file:///etc/hostname"),
            "/circle" => leading_to("/circle"),
            path => ok(path),
        })
        .await;
        let web = schemas(&["metadata", "*.internal", "localhost"]);
        let named = address.replace("127.0.0.1", "localhost");
        let inner = "http://169.254.169.254/x".to_owned();
        for (url, text) in [
            (inner, "'169.254.169.254' must not be sent to: --deny-schema-hosts"),
            (format!("{address}/metadata"), "'169.254.169.254' must not be sent to: --deny-schema-hosts"),
            (format!("{named}/x"), "'localhost' must not be sent to: --deny-schema-hosts"),
            (format!("{address}/file"), "returned status 302 (Found)"),
            (format!("{address}/circle"), "too many redirects"),
        ] {
            let refused = web.get(&url).await.unwrap_err();
            assert!(refused.contains(text), "{url}: {refused}");
        }
        let resolved = schemas(&["127.0.0.0/8", "::1"]).get(&format!("{named}/x")).await.unwrap_err();
        assert!(resolved.contains("'localhost' must not be sent to"), "{resolved}");
        assert!(!asked.lock().unwrap().iter().any(|path| path == "/x"), "{:?}", asked.lock().unwrap());
    }

    #[tokio::test]
    async fn size_and_memory_have_bounds() {
        let (address, _) = serve(|path| match path {
            "/large" => ok(&" ".repeat(LIMIT + 1)),
            _ => ok(&" ".repeat(LIMIT)),
        })
        .await;
        let web = schemas(&[]);
        let large = web.get(&format!("{address}/large")).await.unwrap_err();
        assert!(large.ends_with("the schema is larger than 4 MiB"), "{large}");
        for index in 0..6 {
            assert_eq!(web.get(&format!("{address}/{index}")).await.map(|text| text.len()), Ok(LIMIT));
        }
        assert_eq!(web.kept().iter().map(|known| known.size).sum::<usize>(), KEPT.1);
        for index in 0..2 * KEPT.0 {
            web.slot(&format!("{index}"));
        }
        assert_eq!(web.kept().len(), KEPT.0);
    }
}
