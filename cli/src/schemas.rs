//! Schemas of values that refer to others on the web.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sluice_helm::schema::FetchSchema;
use sluice_releases::Schemas;

use crate::web;

/// Fetches schemas by http and https, each once. What a person renders on a machine of his own may ask the network, as
/// with helm; files stay unread.
#[derive(Debug, Default)]
pub(crate) struct Web(Mutex<HashMap<String, Result<Vec<u8>, String>>>);

impl FetchSchema for Web {
    fn fetch(&self, url: &str) -> Result<Vec<u8>, String> {
        let mut fetched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.entry(url.to_owned()).or_insert_with(|| apart(url)).clone()
    }
}

/// On a thread with a runtime of its own: charts are rendered where nothing waits.
fn apart(url: &str) -> Result<Vec<u8>, String> {
    let failed = |reason: String| format!("HTTP request failed for {url}: {reason}");
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = crate::app::runtime(0).map_err(|error| failed(error.to_string()))?;
            let schemas = Schemas::new(web::AGENT, sluice_http::AddressPolicy::default())
                .map_err(|error| failed(sluice_http::chain(&error)))?;
            runtime.block_on(schemas.get(url)).map(|text| text.to_vec())
        });
        thread.join().unwrap_or_else(|_| Err(failed("the request broke down".to_owned())))
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    use sluice_helm::schema::FetchSchema as _;

    use super::Web;

    #[test]
    fn schemas_come_from_the_web_once_and_never_from_files() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let lines = BufReader::new(stream.try_clone().expect("the connection")).lines();
            lines.map_while(Result::ok).find(String::is_empty);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntrue";
            stream.write_all(answer).expect("an answer");
        });
        let web = Web::default();
        let url = format!("http://{address}/a.json");
        assert_eq!(web.fetch(&url), Ok(b"true".to_vec()));
        server.join().expect("the server");
        assert_eq!(web.fetch(&url), Ok(b"true".to_vec()));
        assert!(web.fetch("file:///etc/hostname").is_err());
    }
}
