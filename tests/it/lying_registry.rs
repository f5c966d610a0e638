//! A registry of bad faith: contents that are not what their digest says, too short, too long, or without end.

use crate::git_adverse::serves_its_artifact;
use crate::gitops::{SOURCE, gitops, message};
use crate::oci_repository::{KIND, LAYER, archive};
use anyhow::{Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Method, StatusCode, Uri};
use serde_json::json;
use sluice_tests::{condition, wait};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// How a blob is sent.
#[derive(Clone, Copy, Debug)]
enum Lie {
    None,
    /// Other bytes of the same length.
    Other,
    Half,
    Endless,
    /// Another manifest than the one that was asked for.
    Manifest,
}

#[derive(Clone)]
struct Content {
    /// By tag and by digest.
    manifests: HashMap<String, Vec<u8>>,
    blobs: HashMap<String, Vec<u8>>,
    lie: Lie,
}

type Shared = Arc<Mutex<Content>>;

fn lock(shared: &Shared) -> std::sync::MutexGuard<'_, Content> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts an artifact of one layer under the tag. Returns the digests of both.
fn put(shared: &Shared, text: &str, lie: Lie) -> Result<(String, String)> {
    let layer = archive(&[("a.yaml", text)])?;
    let digest = |bytes: &[u8]| sluice_oci::digest(bytes);
    let (config, own) = (b"{}".to_vec(), digest(&layer));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.cncf.flux.config.v1+json", "digest": digest(&config), "size": 2},
        "layers": [{"mediaType": LAYER, "digest": own, "size": layer.len()}],
    })
    .to_string()
    .into_bytes();
    let revision = digest(&manifest);
    let mut content = lock(shared);
    content.blobs.insert(own.clone(), layer);
    content.manifests.insert(revision.clone(), manifest.clone());
    content.manifests.insert("v1".to_owned(), manifest);
    content.lie = lie;
    Ok((revision, own))
}

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri) -> Response {
    let content = lock(&shared).clone();
    let (kind, name) = uri.path().rsplit_once('/').unwrap_or_default();
    let found = if kind.ends_with("/manifests") { &content.manifests } else { &content.blobs }.get(name);
    let Some(bytes) = found.cloned() else {
        let status = if uri.path() == "/v2/" { StatusCode::OK } else { StatusCode::NOT_FOUND };
        return Response::builder().status(status).body(Body::empty()).unwrap_or_default();
    };
    let response = Response::builder();
    let body = if kind.ends_with("/manifests") {
        let response = response.header("content-type", MANIFEST);
        let response = response.header("docker-content-digest", sluice_oci::digest(&bytes));
        let bytes = match content.lie {
            Lie::Manifest if method == Method::GET => [&bytes[..], b" "].concat(),
            _ => bytes,
        };
        let body = if method == Method::HEAD { Body::empty() } else { Body::from(bytes) };
        return response.body(body).unwrap_or_default();
    } else {
        match content.lie {
            Lie::Other => Body::from(bytes.iter().map(|byte| byte ^ 1).collect::<Vec<_>>()),
            Lie::Half => Body::from(bytes[..bytes.len() / 2].to_vec()),
            Lie::Endless => {
                let piece = std::iter::repeat_with(|| Ok::<_, std::io::Error>(vec![b'#'; 1 << 16]));
                Body::from_stream(futures::stream::iter(piece))
            }
            Lie::None | Lie::Manifest => Body::from(bytes),
        }
    };
    response.body(body).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lying_registry_sends_is_refused_and_the_last_artifact_stays() -> Result<()> {
    gitops("liar", async |ops| {
        let shared = Arc::new(Mutex::new(Content {
            manifests: HashMap::new(),
            blobs: HashMap::new(),
            lie: Lie::None,
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let routes = Router::new().fallback(answer).with_state(shared.clone());
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, routes).await;
        });
        let (good, _) = put(&shared, "a: good\n", Lie::None)?;
        let spec = json!({
            "url": format!("oci://{address}/app"), "interval": "1h", "timeout": "30s", "insecure": true,
            "ref": {"tag": "v1"},
        });
        ops.source_object(KIND, "app", spec).await?;
        let stored = ops.has(KIND, "app", &format!("v1@{good}")).await?;
        serves_its_artifact(&stored).await?;
        let api = ops.api(SOURCE, KIND).await?;
        for (lie, words) in [
            (Lie::Other, "what the registry sent has sha256:"),
            (Lie::Half, "bytes instead of"),
            (Lie::Endless, "the registry sends more than the"),
            (Lie::Manifest, "the manifest has sha256:"),
        ] {
            let (manifest, layer) = put(&shared, &format!("a: {lie:?}\n"), lie)?;
            ops.request_reconcile(SOURCE, KIND, "app").await?;
            // The digest tells which of the failures it is.
            let failed = wait::until(&api, "app", words, |object| {
                let said = message(object);
                condition(object, "Ready") == Some("False")
                    && said.contains(words)
                    && (said.contains(&manifest) || said.contains(&layer))
            })
            .await?;
            let artifact = &failed.data["status"]["artifact"]["revision"];
            ensure!(*artifact == format!("v1@{good}"), "{lie:?}: {artifact}");
            serves_its_artifact(&failed).await?;
        }
        let (next, _) = put(&shared, "a: honest\n", Lie::None)?;
        ops.request_reconcile(SOURCE, KIND, "app").await?;
        ops.has(KIND, "app", &format!("v1@{next}")).await?;
        server.abort();
        Ok(())
    })
    .await
}
