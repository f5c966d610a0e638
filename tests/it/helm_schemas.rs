//! Charts whose schema of values refers to schemas on the web.

use crate::helm::{helm_ops, message, of};
use anyhow::{Result, ensure};
use serde_json::json;
use sluice_tests::{FileServer, Misbehaviour, TestChart};

const LIBRARY: &str = r#"{"properties": {"port": {"$ref": "types/port.json#/$defs/port"}}}"#;
const PORT: &str = r#"{"$defs": {"port": {"type": "integer", "maximum": 65535}}}"#;

/// A chart whose schema, and that of a chart in it, are on the web.
fn chart(library: &str) -> TestChart {
    let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "$ref": library}).to_string();
    TestChart::new("web", "1.0.0")
        .file("values.yaml", "port: 80\n")
        .file("values.schema.json", &schema)
        .file("charts/part/Chart.yaml", "apiVersion: v2\nname: part\nversion: 1.0.0\n")
        .file("charts/part/values.schema.json", &schema)
        .file(
            "templates/map.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\ndata: {port: '{{ .Values.port }}'}\n",
        )
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_on_the_web_are_fetched_once_and_hold_nothing_up_for_good() -> Result<()> {
    helm_ops("helm-schemas", &["--min-retry-delay=50ms", "--max-retry-delay=500ms"], async |ops| {
        let web = FileServer::start().await?;
        std::fs::create_dir(web.folder().join("types"))?;
        std::fs::write(web.folder().join("types/port.json"), PORT)?;
        let library = |name: &str| -> Result<String> {
            std::fs::write(web.folder().join(name), LIBRARY)?;
            Ok(format!("{}/{name}", web.url()))
        };
        let url = library("library.json")?;
        ops.chart("app", &chart(&url)).await?;
        for name in ["first", "second"] {
            ops.release(name, json!({})).await?;
        }
        for name in ["first", "second"] {
            ops.ready(name, 1).await?;
        }
        ops.release("first", json!({"values": {"port": 70000}})).await?;
        let failed = ops.until("first", "Ready", "False", "UpgradeFailed").await?;
        let told = message(&failed, "Ready");
        let demand = "the following chart(s):\nweb:\n- at '/port': maximum: got 70,000, want 65,535";
        ensure!(told.contains(demand), "{told}");
        ensure!(ops.records("first").await? == of(&[(1, "deployed")]), "{:?}", ops.records("first").await?);
        for path in ["/library.json", "/types/port.json"] {
            ensure!(web.answers(path) == [200], "{path}: {:?}", web.answers(path));
        }

        // Another chart, whose schema cannot be had: what runs is left, and comes to the new chart when it can.
        let url = library("moved.json")?;
        web.misbehave("/moved.json", Some(Misbehaviour::Status(503)));
        ops.chart("app", &chart(&url)).await?;
        ops.release("first", json!({"values": {"port": 8080}})).await?;
        let failed = ops.until("first", "Ready", "False", "UpgradeFailed").await?;
        let text = format!(
            "web:\nfailing loading \"{url}\": HTTP request to {url} returned status 503 (Service Unavailable). Where"
        );
        ops.told("first", "UpgradeFailed", &text).await?;
        ensure!(ops.get("v1", "ConfigMap", "first").await?.data["data"]["port"] == "80", "{}", failed.data["status"]);
        ops.release("without", json!({"install": {"disableSchemaValidation": true}})).await?;
        ops.ready("without", 1).await?;
        web.misbehave("/moved.json", None);
        ops.ready("first", 2).await?;
        ensure!(ops.get("v1", "ConfigMap", "first").await?.data["data"]["port"] == "8080", "not upgraded");

        // What is there and is no schema, and what must not be asked.
        std::fs::write(web.folder().join("other.json"), "s3cret")?;
        let other = format!("{}/other.json", web.url());
        let metadata = "http://169.254.169.254/latest/meta-data".to_owned();
        for (name, url, text) in [
            ("other", &other, "what is there is no JSON"),
            ("metadata", &metadata, "the host '169.254.169.254' must not be sent to: --deny-schema-hosts"),
        ] {
            ops.chart(name, &chart(url)).await?;
            ops.release(name, json!({"chartRef": {"kind": "OCIRepository", "name": name}})).await?;
            ops.until(name, "Ready", "False", "InstallFailed").await?;
            let told = ops.told(name, "InstallFailed", text).await?;
            ensure!(!told.contains("s3cret") && !told.contains("'s'"), "{told}");
            ensure!(ops.records(name).await?.is_empty(), "{:?}", ops.records(name).await?);
        }
        Ok(())
    })
    .await
}
