//! A server that gives one answer after another and keeps what it was asked.

use std::sync::{Arc, Mutex};

use sluice_reference::exchange;
use tokio::net::TcpListener;

pub(crate) struct Script {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Script {
    pub(crate) async fn start(answers: Vec<(u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = exchange::request(&mut stream).await.unwrap();
                seen.lock().unwrap().push(request);
                exchange::answer(stream, &status.to_string(), &body).await.unwrap();
            }
        });
        Self { address, requests }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}
