//! Log lines: JSON with the keys that `flux logs` reads, or a readable form for a console.

use std::fmt;
use std::io::Write;

use clap::ValueEnum;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber, span};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Least important message that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Everything, also of libraries.
    Trace,
    /// Steps of the work.
    Debug,
    /// Results.
    Info,
    /// Failures.
    Error,
}

/// Form of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Encoding {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Console,
}

/// Starts logging to standard error for the whole process. Later calls do nothing.
pub fn init(level: Level, encoding: Encoding) {
    let (own, libraries) = match level {
        Level::Trace => (tracing::Level::TRACE, tracing::Level::TRACE),
        Level::Debug => (tracing::Level::DEBUG, tracing::Level::WARN),
        Level::Info => (tracing::Level::INFO, tracing::Level::ERROR),
        Level::Error => (tracing::Level::ERROR, tracing::Level::ERROR),
    };
    let filter = Targets::new().with_default(libraries).with_targets([
        ("sluice", own),
        ("source_controller", own),
        ("kustomize_controller", own),
        ("helm_controller", own),
        ("notification_controller", own),
        ("image_controller", own),
    ]);
    let lines = Lines { encoding, write: |line| drop(std::io::stderr().lock().write_all(line.as_bytes())) };
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}

/// A layer that writes one line for each event.
struct Lines {
    encoding: Encoding,
    write: fn(&str),
}

/// The fields of a span, kept with it.
struct Fields(Map<String, Value>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut fields = Map::new();
        attributes.record(&mut Recorder(&mut fields));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Fields(fields));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(Fields(fields)) = span.extensions_mut().get_mut()
        {
            values.record(&mut Recorder(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Map::new();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(Fields(known)) = span.extensions().get() {
                fields.extend(known.clone());
            }
        }
        event.record(&mut Recorder(&mut fields));
        let level = match *event.metadata().level() {
            tracing::Level::ERROR | tracing::Level::WARN => "error",
            tracing::Level::INFO => "info",
            tracing::Level::DEBUG => "debug",
            tracing::Level::TRACE => "trace",
        };
        (self.write)(&match self.encoding {
            Encoding::Json => json_line(level, &now(), fields),
            Encoding::Console => console_line(level, &now(), fields),
        });
    }
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// One JSON object. `level`, `ts` and `msg` come first, and an object is also named under its kind, as Flux does.
fn json_line(level: &str, time: &str, mut fields: Map<String, Value>) -> String {
    let message = fields.remove("message").unwrap_or_default();
    let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    if let (Some(kind), Some(name), Some(namespace)) =
        (text("controllerKind"), text("name"), text("namespace"))
    {
        fields.insert(kind, serde_json::json!({"name": name, "namespace": namespace}));
    }
    let mut line = format!("{{\"level\":\"{level}\",\"ts\":\"{time}\",\"msg\":{message}");
    for (key, value) in fields {
        line.push_str(&format!(",{}:{value}", Value::String(key)));
    }
    line.push_str("}\n");
    line
}

/// `time LEVEL Kind/namespace/name message key=value …`.
fn console_line(level: &str, time: &str, mut fields: Map<String, Value>) -> String {
    let mut take = |key: &str| match fields.remove(key) {
        Some(Value::String(text)) => Some(text),
        other => other.map(|value| value.to_string()),
    };
    let message = take("message").unwrap_or_default();
    let object = match (take("controllerKind"), take("namespace"), take("name")) {
        (Some(kind), Some(namespace), Some(name)) => format!("{kind}/{namespace}/{name} "),
        (_, _, Some(name)) => format!("{name} "),
        _ => String::new(),
    };
    for hidden in ["controller", "controllerGroup", "reconcileID"] {
        take(hidden);
    }
    let mut line = format!("{time} {:<5} {object}{message}", level.to_uppercase());
    for (key, value) in fields {
        match value {
            Value::String(text) if !text.contains([' ', '"', '\n']) => {
                line.push_str(&format!(" {key}={text}"));
            }
            other => line.push_str(&format!(" {key}={other}")),
        }
    }
    line.push('\n');
    line
}

struct Recorder<'a>(&'a mut Map<String, Value>);

impl Visit for Recorder<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Map<String, Value> {
        let fields = serde_json::json!({
            "message": "server-side apply \"completed\"", "controller": "kustomization",
            "controllerKind": "Kustomization", "name": "app", "namespace": "apps", "revision": "main@sha1:1",
        });
        fields.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn json_lines_have_the_keys_that_flux_logs_reads() {
        let line = json_line("info", "2026-01-02T03:04:05.006Z", fields());
        assert!(
            line.starts_with(r#"{"level":"info","ts":"2026-01-02T03:04:05.006Z","msg":"server-side"#),
            "{line}"
        );
        let parsed: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["Kustomization"], serde_json::json!({"name": "app", "namespace": "apps"}));
        assert_eq!(parsed["controllerKind"], "Kustomization");
        assert_eq!(line.matches('\n').count(), 1);
    }

    #[test]
    fn console_lines_read_well() {
        let line = console_line("info", "2026-01-02T03:04:05.006Z", fields());
        let expected = "2026-01-02T03:04:05.006Z INFO  Kustomization/apps/app server-side apply \"completed\" revision=main@sha1:1\n";
        assert_eq!(line, expected);
    }
}
