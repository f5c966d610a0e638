//! An admission webhook on loopback.

use crate::certificates::Certificates;
use crate::connections::Connections;
use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// A webhook that refuses everything that it is asked about, with the same words. It ends with this value.
#[derive(Debug)]
pub struct AdmissionWebhook {
    url: String,
    certificates: Certificates,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    words: String,
    asked: Mutex<Vec<String>>,
}

impl AdmissionWebhook {
    /// Starts it.
    pub async fn denying(words: &str) -> Result<Self> {
        let certificates = Certificates::new()?;
        let listener = Connections::bind(Some(&certificates), false).await?;
        let url = format!("https://{}/", listener.address());
        let shared = Arc::new(Shared { words: words.to_owned(), asked: Mutex::default() });
        let routes = Router::new().fallback(deny).with_state(shared.clone());
        let task = tokio::spawn(async move {
            // It ends with the task only.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { url, certificates, shared, task })
    }

    /// How a webhook configuration names it: its URL and its CA.
    pub fn client_config(&self) -> Value {
        json!({"url": self.url, "caBundle": STANDARD.encode(&self.certificates.ca)})
    }

    /// Operations and names of objects that it was asked about, such as `CREATE map`.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for AdmissionWebhook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn deny(State(shared): State<Arc<Shared>>, body: Bytes) -> axum::response::Response<String> {
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let request = &review["request"];
    let text = |field: &str| request[field].as_str().unwrap_or_default().to_owned();
    let mut asked = shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
    asked.push(format!("{} {}", text("operation"), text("name")));
    drop(asked);
    let answer = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {"uid": request["uid"], "allowed": false, "status": {"code": 403, "message": shared.words}},
    });
    let mut response = axum::response::Response::new(answer.to_string());
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}
