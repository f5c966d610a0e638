//! Metrics of the HTTP servers, under the names that Flux gives them.

use std::time::Instant;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use sluice_runtime::metrics::Metrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    service: String,
    handler: String,
    method: String,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InFlight {
    service: String,
    handler: String,
}

/// The metrics of one server.
#[derive(Clone)]
struct Server {
    handler: &'static str,
    exports_paths: bool,
    duration: Family<Labels, Histogram, fn() -> Histogram>,
    size: Family<Labels, Histogram, fn() -> Histogram>,
    inflight: Family<InFlight, Gauge>,
}

/// Paths that are told apart at most, so that a scanner does not fill the memory.
const MAX_PATH: usize = 128;

/// Measures a server's routes. `name` is `event` or `receiver`; `handler` stands for all paths unless they are exported.
pub(crate) fn measured(
    metrics: &Metrics,
    name: &str,
    handler: &'static str,
    exports_paths: bool,
    routes: Router,
) -> Router {
    let seconds: fn() -> Histogram =
        || Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
    let bytes: fn() -> Histogram = || Histogram::new(exponential_buckets(100.0, 10.0, 8));
    let server = Server {
        handler,
        exports_paths,
        duration: Family::new_with_constructor(seconds),
        size: Family::new_with_constructor(bytes),
        inflight: Family::default(),
    };
    metrics.register(|registry| {
        let named = |what: &str| format!("gotk_{name}_http_{what}");
        let help = "The latency of the HTTP requests";
        registry.register(named("request_duration_seconds"), help, server.duration.clone());
        registry.register(
            named("response_size_bytes"),
            "The size of the HTTP responses",
            server.size.clone(),
        );
        registry.register(named("requests_inflight"), "Requests that are under way", server.inflight.clone());
    });
    routes.layer(from_fn_with_state(server, measure))
}

async fn measure(State(server): State<Server>, request: Request, next: Next) -> Response {
    let handler = if server.exports_paths && request.uri().path().len() <= MAX_PATH {
        request.uri().path().to_owned()
    } else {
        server.handler.to_owned()
    };
    let method = request.method().to_string();
    let _under_way = UnderWay::new(&server);
    let begin = Instant::now();
    let response = next.run(request).await;
    // Paths that lead nowhere are not told apart.
    let handler = if response.status() == 404 { server.handler.to_owned() } else { handler };
    let labels =
        Labels { service: String::new(), handler, method, code: response.status().as_u16().to_string() };
    server.duration.get_or_create(&labels).observe(begin.elapsed().as_secs_f64());
    let size = response.body().size_hint().exact().unwrap_or_default();
    server.size.get_or_create(&labels).observe(size as f64);
    response
}

/// Counts a request until it is answered or its sender is gone.
struct UnderWay(Gauge);

impl UnderWay {
    fn new(server: &Server) -> Self {
        let labels = InFlight { service: String::new(), handler: server.handler.to_owned() };
        let gauge = server.inflight.get_or_create(&labels).clone();
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_counted_under_flux_s_names() {
        let metrics = Metrics::default();
        let routes = measured(&metrics, "receiver", "/hook/", false, Router::new().fallback(async || "ok"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.post(format!("http://{address}/hook/secret")).send().await.unwrap();
        let text = metrics.render().unwrap();
        let series = r#"gotk_receiver_http_request_duration_seconds_count{service="",handler="/hook/",method="POST",code="200"} 1"#;
        assert!(text.contains(series), "{text}");
        assert!(
            text.contains(r#"gotk_receiver_http_requests_inflight{service="",handler="/hook/"} 0"#),
            "{text}"
        );
    }
}
