//! What the server would change anyway is changed before the apply, so that it is no drift.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Object;

/// Normalises an object: `stringData` of Secrets becomes `data`, ports get their protocol, status and creation time go.
///
/// Unlike the reference, fields that its Go types do not know are kept: the server judges them.
pub fn normalize(object: &mut Object) {
    let (group, version, kind) = (object.group(), object.version(), object.kind());
    // The reference leaves these two as they are.
    if group == "rbac.authorization.k8s.io" && version == "v1" && matches!(kind, "Role" | "ClusterRole") {
        return;
    }
    let pod_spec: Option<&[&str]> = match (group, version, kind) {
        ("", "v1", "Pod") => Some(&["spec"]),
        ("apps", "v1", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch", "v1", "Job") => Some(&["spec", "template", "spec"]),
        ("batch", "v1", "CronJob") => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
        _ => None,
    };
    let is_service = (group, version, kind) == ("", "v1", "Service");
    let is_secret = (group, version, kind) == ("", "v1", "Secret");
    if let Some(path) = pod_spec {
        let containers = at(object.fields_mut(), path).and_then(|spec| spec.get_mut("containers"));
        for container in containers.and_then(Value::as_array_mut).into_iter().flatten() {
            default_protocol(container.get_mut("ports"));
        }
    }
    if is_service {
        default_protocol(at(object.fields_mut(), &["spec"]).and_then(|spec| spec.get_mut("ports")));
    }
    if is_secret {
        secret(object.fields_mut());
    }
    object.metadata_mut().remove("creationTimestamp");
    // A pod template from a Go program carries a null creation time.
    if let Some(path) = pod_spec
        && let Some((_, template)) = path.split_last()
        && !template.is_empty()
        && let Some(metadata) = at(object.fields_mut(), template).and_then(|map| map.get_mut("metadata"))
        && let Some(metadata) = metadata.as_object_mut()
        && metadata.get("creationTimestamp").is_some_and(Value::is_null)
    {
        metadata.remove("creationTimestamp");
    }
    if !object.is_crd() {
        object.fields_mut().remove("status");
    }
}

/// Removes the certificate of a conversion webhook that the server would refuse: another controller injects it.
pub(crate) fn drop_invalid_ca_bundle(object: &mut Object) {
    if !object.is_crd() {
        return;
    }
    let path = ["spec", "conversion", "webhook", "clientConfig"];
    let Some(config) = at(object.fields_mut(), &path) else { return };
    let invalid = match config.get("caBundle").and_then(Value::as_str) {
        None | Some("") => false,
        Some(bundle) => !STANDARD.decode(bundle).is_ok_and(|pem| pem.is_empty() || holds_certificate(&pem)),
    };
    if invalid {
        config.remove("caBundle");
    }
}

/// Whether there is a PEM block of a certificate whose body is base64.
fn holds_certificate(pem: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(pem) else { return false };
    let Some((_, rest)) = text.split_once("-----BEGIN CERTIFICATE-----") else { return false };
    let Some((body, _)) = rest.split_once("-----END CERTIFICATE-----") else { return false };
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).is_ok_and(|der| der.first() == Some(&0x30))
}

fn at<'m>(map: &'m mut Map<String, Value>, path: &[&str]) -> Option<&'m mut Map<String, Value>> {
    path.iter().try_fold(map, |map, step| map.get_mut(*step)?.as_object_mut())
}

fn default_protocol(ports: Option<&mut Value>) {
    for port in ports.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
        let absent = port.get("protocol").is_none_or(|protocol| protocol.is_null() || protocol == "");
        if absent {
            port.insert("protocol".to_owned(), "TCP".into());
        }
    }
}

fn secret(fields: &mut Map<String, Value>) {
    let Some(plain) = fields.remove("stringData") else { return };
    let Value::Object(plain) = plain else {
        if !plain.is_null() {
            // Not what the type says: the server shall tell.
            fields.insert("stringData".to_owned(), plain);
        }
        return;
    };
    if plain.values().any(|value| !value.is_string() && !value.is_null()) {
        fields.insert("stringData".to_owned(), Value::Object(plain));
        return;
    }
    if plain.is_empty() {
        return;
    }
    let data = fields.entry("data").or_insert_with(|| json!({}));
    if data.is_null() {
        *data = json!({});
    }
    if let Value::Object(data) = data {
        for (key, value) in plain {
            data.insert(key, STANDARD.encode(value.as_str().unwrap_or_default()).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(mut value: Value) -> Value {
        value["metadata"] = json!({"name": "a", "creationTimestamp": null});
        let mut object = Object::new(value).unwrap();
        normalize(&mut object);
        object.into_value()
    }

    #[test]
    fn plain_secret_data_is_encoded_over_what_is_there() {
        let secret = normalized(json!({
            "apiVersion": "v1", "kind": "Secret", "data": {"a": "eA==", "b": "eA=="}, "stringData": {"b": "hello"}
        }));
        assert_eq!(secret["data"], json!({"a": "eA==", "b": "aGVsbG8="}));
        assert!(secret.get("stringData").is_none());
    }

    #[test]
    fn ports_get_a_protocol_in_containers_but_not_in_init_containers() {
        let ports = || json!([{"name": "a", "ports": [{"containerPort": 1}, {"containerPort": 2, "protocol": "UDP"}]}]);
        let deployment = normalized(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "status": {"replicas": 1},
            "spec": {"template": {"metadata": {"creationTimestamp": null},
                                  "spec": {"containers": ports(), "initContainers": ports()}}}
        }));
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["ports"][0]["protocol"], "TCP");
        assert_eq!(pod["containers"][0]["ports"][1]["protocol"], "UDP");
        assert_eq!(pod["initContainers"], ports());
        assert!(deployment.get("status").is_none());
        assert_eq!(deployment["metadata"], json!({"name": "a"}));
        assert_eq!(deployment["spec"]["template"]["metadata"], json!({}));
    }

    #[test]
    fn definitions_keep_their_status_and_lose_a_broken_certificate() {
        let crd = |bundle: &str| {
            let mut object = Object::new(normalized(json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "status": {"a": 1},
                "spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": bundle}}}}
            })))
            .unwrap();
            drop_invalid_ca_bundle(&mut object);
            assert_eq!(object.fields()["status"], json!({"a": 1}));
            object.fields()["spec"]["conversion"]["webhook"]["clientConfig"].get("caBundle").is_some()
        };
        assert!(!crd("Cg=="));
        assert!(!crd("not base64!"));
        assert!(crd(""));
        let pem = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert!(crd(&STANDARD.encode(pem)));
    }
}
