//! What a registry answers, through the client: statuses, challenges, tokens, links of pages, manifests, blobs.

use std::sync::{LazyLock, Mutex, PoisonError};

use sluice_oci::{Client, ClientOptions, Credentials, Reference};

use crate::server::{Server, answer};
use crate::targets::bytes;

/// Between two answers. The status follows, then headers, an empty line and the body.
const BETWEEN: &str = "=== ";
/// More answers than any of these calls needs.
const ANSWERS: usize = 24;

pub(crate) const WORDS: &[&str] = &[
    "=== 200\n",
    "=== 401\n",
    "=== 307\n",
    "=== 404\n",
    "=== 429\n",
    "\n\n",
    "www-authenticate: ",
    "Bearer realm=\"http://{host}/token\",service=\"s\"\n",
    "Bearer ",
    "Basic ",
    "realm=",
    "=\"",
    "\"",
    ",",
    "link: <",
    ">; rel=\"next\"\n",
    "/v2/a/tags/list?last=x",
    "//",
    "http://{host}/",
    "location: ",
    "retry-after: 99999999999999999999\n",
    "retry-after: 18446744073709551615\n",
    "docker-content-digest: sha256:",
    "content-type: application/vnd.oci.image.index.v1+json\n",
    "content-type: application/vnd.oci.image.manifest.v1+json\n",
    "content-range: bytes 0-1/2\n",
    "{\"token\":\"",
    "{\"access_token\":",
    "{\"tags\":[",
    "null",
    "{\"errors\":[{\"code\":\"",
    "\\u0000",
    "\r",
    "\u{e9}",
    "99999999999999999999",
    "-1",
];

pub(crate) fn answers() -> Vec<Vec<u8>> {
    bytes(&[
        "=== 401\nwww-authenticate: Bearer realm=\"http://{host}/token\",service=\"s\",scope=\"repository:a:pull\"\n\n\n\
         === 200\n\n{\"token\":\"t\"}\n\
         === 200\nlink: </v2/a/tags/list?n=1&last=1.0.0>; rel=\"next\"\n\n{\"name\":\"a\",\"tags\":[\"1.0.0\"]}\n\
         === 200\n\n{\"name\":\"a\",\"tags\":[\"1.1.0\",\"x\"]}\n",
        "=== 200\n\n\n\
         === 200\ncontent-type: application/vnd.oci.image.index.v1+json\n\n{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:2f2acd7e67ae0b5b8ea8a2b9d4c4d4c6ab3e1d4e8d7c7fb9d0e0d5b7f7c3a1b2\",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}\n\
         === 200\ncontent-type: application/vnd.oci.image.manifest.v1+json\n\n{\"schemaVersion\":2,\"config\":{\"mediaType\":\"c\",\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2},\"layers\":[{\"mediaType\":\"l\",\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2}]}\n\
         === 200\n\n{}",
        "=== 200\n\n\n\
         === 200\n\n{\"schemaVersion\":2,\"config\":{\"mediaType\":\"c\",\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2},\"layers\":[{\"mediaType\":\"l\",\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2}]}\n\
         === 307\nlocation: http://{host}/elsewhere\n\n\n\
         === 200\n\n{}",
        "=== 401\nwww-authenticate: Basic realm=\"x\"\n\n\n\
         === 429\nretry-after: 1\n\n{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"slow down\"}]}\n\
         === 503\n\n<html>\n",
    ])
}

/// The answers that an input stands for.
fn read(input: &[u8], host: &str) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(input).replace("{host}", host);
    let answers = text.split(BETWEEN).skip(1).take(ANSWERS).filter_map(|part| {
        let (head, body) = part.split_once("\n\n").unwrap_or((part, ""));
        let mut lines = head.lines();
        let status: u16 = lines.next()?.trim().parse().ok().filter(|status| (200..600).contains(status))?;
        let headers: Vec<(&str, &str)> = lines
            .filter_map(|line| line.split_once(':'))
            // The length and the end of the connection are this server's.
            .filter(|(name, _)| !["content-length", "transfer-encoding", "connection"].contains(&name.trim()))
            .collect();
        Some(answer(&format!("{status} Any"), &headers, body.trim_end_matches('\n').as_bytes()))
    });
    answers.collect()
}

/// The server, and an HTTP client that asks nobody else: the server is its proxy as well.
static SERVER: LazyLock<Option<Mutex<(Server, ClientOptions, reqwest::Client)>>> = LazyLock::new(|| {
    let server = Server::start().ok()?;
    let credentials = Credentials::Basic { username: "u".to_owned(), password: "p".to_owned() };
    let proxy = Some(format!("http://{}", server.address()));
    let options = ClientOptions { credentials, insecure: true, proxy, ..ClientOptions::default() };
    let http = sluice_http::build(&options.http()).ok()?;
    Some(Mutex::new((server, options, http)))
});

/// Asks for tags, a manifest with its blobs, and referrers.
pub(crate) fn ask(input: &[u8]) {
    let Some(shared) = &*SERVER else { return };
    let shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let (server, options, http) = &*shared;
    let answers = read(input, server.address());
    let Ok(reference) = Reference::parse(&format!("{}/a:1.0.0", server.address())) else { return };
    // A new one each time: what it learned of the registry is part of what is tried.
    let client = Client::with_http(&reference.registry, options.clone(), http.clone());
    let repository = &reference.repository;
    let _ = server.against(&answers, client.tags(repository));
    let client = Client::with_http(&reference.registry, options.clone(), http.clone());
    let _ = server.against(&answers, async {
        let (_, manifest) = client.manifest(&reference).await?;
        for layer in manifest.layers.iter().take(2) {
            client.blob(repository, layer, &mut Vec::new()).await?;
        }
        client.referrers(repository, &manifest.config.digest).await
    });
    let _ = server.against(&answers, client.digest(&reference));
}

#[cfg(test)]
mod tests {
    use super::{answers as all, *};

    #[test]
    fn the_answers_to_begin_with_are_understood() {
        let shared = SERVER.as_ref().unwrap().lock().unwrap();
        let (server, options, http) = &*shared;
        let reference = Reference::parse(&format!("{}/a:1.0.0", server.address())).unwrap();
        let client = || Client::with_http(&reference.registry, options.clone(), http.clone());
        let answers = |seed: usize| read(&all()[seed], server.address());
        let tags = server.against(&answers(0), client().tags("a")).unwrap();
        assert_eq!(tags, ["1.0.0", "1.1.0", "x"]);
        let client = client();
        let content = server.against(&answers(2), async {
            let (_, manifest) = client.manifest(&reference).await.unwrap();
            let mut content = Vec::new();
            client.blob("a", &manifest.layers[0], &mut content).await.unwrap();
            content
        });
        assert_eq!(content, b"{}");
    }
}
