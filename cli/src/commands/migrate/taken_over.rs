//! What users have set on Flux's Deployments, and what of that ours get. Pure.

use serde_json::{Map, Value, json};

use crate::installation::{self, Components};

/// Flags that the chart sets itself; with them the value that it takes over.
const OWN: [&str; 7] = [
    "--events-addr",
    "--watch-all-namespaces",
    "--log-level",
    "--log-encoding",
    "--enable-leader-election",
    "--storage-path",
    "--storage-adv-addr",
];

/// The controller that takes the place of one of Flux's.
pub(super) fn successor(deployment: &str) -> Option<&'static str> {
    installation::component(deployment).map(|(name, _)| name)
}

/// What to install in place of these Deployments, with the arguments, resources and places that users gave them.
pub(super) fn components(asked: &Components, deployments: &[&Value]) -> Components {
    let mut names = Vec::new();
    let mut values = Map::new();
    for deployment in deployments {
        let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
        let Some((_, field)) = installation::component(name) else { continue };
        names.push(name.to_owned());
        let spec = &deployment["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        let args: Vec<&str> =
            container["args"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (flag, value) in [("--watch-all-namespaces=", "watchAllNamespaces"), ("--log-level=", "logLevel")]
        {
            if let Some(set) = args.iter().rev().find_map(|arg| arg.strip_prefix(flag)) {
                values.insert(
                    value.into(),
                    if flag.contains("watch") { (set == "true").into() } else { set.into() },
                );
            }
        }
        let further = args.iter().filter(|arg| !OWN.contains(&arg.split('=').next().unwrap_or_default()));
        let further: Vec<Value> = further.map(|arg| (*arg).into()).collect();
        let own = values.entry(field).or_insert_with(|| json!({}));
        add(&mut own["container"]["additionalArgs"], further);
        // One that joins others has what the first of them had.
        if own.get("resources").is_none() {
            for (key, value) in [
                ("resources", &container["resources"]),
                ("nodeSelector", &spec["nodeSelector"]),
                ("affinity", &spec["affinity"]),
                ("tolerations", &spec["tolerations"]),
            ] {
                if !value.is_null() {
                    own[key] = value.clone();
                }
            }
        }
        if let Some(secrets) = spec.get("imagePullSecrets") {
            values.insert("imagePullSecrets".into(), secrets.clone());
        }
    }
    asked.in_place_of(names, values)
}

/// Adds arguments that are not there yet.
fn add(list: &mut Value, further: Vec<Value>) {
    if !list.is_array() {
        *list = json!([]);
    }
    if let Some(known) = list.as_array_mut() {
        for argument in further {
            if !known.contains(&argument) {
                known.push(argument);
            }
        }
    }
}
