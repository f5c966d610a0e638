use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::chart::load_files;

fn hex(text: &str) -> String {
    crate::hash::hex(&Sha256::digest(text.as_bytes()))
}

fn values(value: Value) -> Values {
    match value {
        Value::Object(values) => values,
        _ => Values::new(),
    }
}

#[test]
fn digests_of_values_are_those_of_helm_controller() {
    assert_eq!(
        hex(&config_yaml(&Values::new())),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    let config = json!({
        "replicas": 3,
        "image": {"tag": "latest", "repository": "nginx"},
        "ports": [{"protocol": "TCP", "port": 8080}, {"port": 9090, "protocol": "UDP"}]
    });
    assert_eq!(
        hex(&config_yaml(&values(config))),
        "fcdc2b0de1581a3633ada4afee3f918f6eaa5b5ab38c3fef03d5b48d3f85d9f6"
    );
    let config = json!({"replicas": 3, "test": {
        "632bd80235a05f4192aefade": "value1", "632bd80ddf416cf32fd50679": "value2",
        "632bd817c559818a52307da2": "value3", "632bd82398e71231a98004b6": "value4"
    }});
    assert_eq!(
        hex(&config_yaml(&values(config))),
        "8a980fcbeadd6f05818f07e8aec14070c22250ca3d96af1fcd5f93b3e85b4d70"
    );
}

fn example() -> Release {
    let chart = load_files(vec![
        File::new("Chart.yaml", &b"apiVersion: v2\nname: c\nversion: 1.0.0\nannotations: {a: <b>}\n"[..]),
        File::new("values.yaml", &b"port: 80\n"[..]),
        File::new("templates/a.yaml", &b"a: 1"[..]),
    ])
    .expect("a chart");
    let hook = |name: &str, event: &str| RecordedHook {
        name: name.to_owned(),
        kind: "Job".to_owned(),
        path: format!("c/templates/{name}.yaml"),
        manifest: "x".to_owned(),
        events: vec![event.to_owned()],
        ..RecordedHook::default()
    };
    Release {
        name: "r".to_owned(),
        info: Info {
            first_deployed: Moment::read("2026-01-02T03:04:05.123456789+01:00"),
            last_deployed: Moment::read("2026-01-02T03:04:05Z"),
            description: "Install complete".to_owned(),
            status: Status::Deployed,
            ..Info::default()
        },
        chart: RecordedChart::from(&chart),
        config: values(json!({"b": 1e6, "a": "<>&"})),
        manifest: "---\na: 1\n".to_owned(),
        hooks: vec![hook("h", "pre-install"), hook("t", "test")],
        version: 1,
        namespace: "n".to_owned(),
        apply_method: Some(ApplyMethod::ServerSide),
        ..Release::default()
    }
}

#[test]
fn records_are_written_as_helm_writes_them() {
    let json = write::release(&example());
    assert_eq!(
        json,
        concat!(
            r#"{"name":"r","info":{"first_deployed":"2026-01-02T03:04:05.123456789+01:00","#,
            r#""last_deployed":"2026-01-02T03:04:05Z","description":"Install complete","status":"deployed"},"#,
            r#""chart":{"metadata":{"name":"c","version":"1.0.0","apiVersion":"v2","annotations":{"a":"\u003cb\u003e"}},"#,
            r#""lock":null,"templates":[{"name":"templates/a.yaml","data":"YTogMQ=="}],"values":{"port":80},"#,
            r#""schema":null,"schemamodtime":"0001-01-01T00:00:00Z","files":null},"#,
            r#""config":{"a":"\u003c\u003e\u0026","b":1000000},"manifest":"---\na: 1\n","#,
            r#""hooks":[{"name":"h","kind":"Job","path":"c/templates/h.yaml","manifest":"x","events":["pre-install"],"#,
            r#""last_run":{"phase":""}},{"name":"t","kind":"Job","path":"c/templates/t.yaml","manifest":"x","#,
            r#""events":["test"],"last_run":{"phase":""}}],"version":1,"namespace":"n","apply_method":"ssa"}"#,
        )
    );
}

#[test]
fn records_come_back_as_they_were() {
    let release = example();
    let read = decode(&encode(&release).expect("a record")).expect("the same record");
    assert_eq!(write::release(&read), write::release(&release));
    assert_eq!(snapshot_json(&read, ""), snapshot_json(&release, ""));
}

#[test]
fn records_of_helm_3_are_read() {
    let json = r#"{"name":"r","info":{"deleted":"","first_deployed":"2020-01-01T00:00:00Z","status":"superseded"},
        "chart":{"metadata":{"name":"c"},"lock":null,"templates":null,"values":null,"schema":null,"files":null},
        "hooks":[{"last_run":{"started_at":"","completed_at":"","phase":""}}],"version":2}"#;
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, json);
    let release = decode(&text).expect("a record");
    assert!(release.info.deleted.is_none());
    assert_eq!((release.info.status, release.version, release.apply_method), (Status::Superseded, 2, None));
}

#[test]
fn snapshots_leave_tests_out_and_end_their_line() {
    let json = snapshot_json(&example(), "sha256:1");
    assert!(json.starts_with(r#"{"name":"r","version":1,"info":{"#));
    assert!(!json.contains(r#""events":["test"]"#));
    assert!(json.ends_with(",\"namespace\":\"n\",\"ociDigest\":\"sha256:1\"}\n"));
}

#[test]
fn labels_tell_one_time_only() {
    let mut release = example();
    release.labels.insert("team".to_owned(), "a".to_owned());
    let now = Moment::read("2026-01-02T03:04:05Z");
    let labels = record_labels(&release, &now, true);
    assert_eq!(labels["createdAt"], "1767323045");
    assert_eq!((labels["team"].as_str(), labels["status"].as_str()), ("a", "deployed"));
    assert!(!record_labels(&release, &now, false).contains_key("createdAt"));
    assert_eq!(record_name("r", 3), "sh.helm.release.v1.r.v3");
}
