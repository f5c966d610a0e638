//! `export`: objects as YAML that can be applied again.

use anyhow::{Result, bail};
use clap::Args;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::documents;
use crate::failure::misuse;
use crate::kinds::Kind;
use crate::nouns::{Target, Verb, VerbArgs};
use crate::object::Object;

/// Flags of `export`.
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// The object.
    name: Option<String>,
    /// All objects of the kind in the namespace.
    #[arg(long)]
    all: bool,
    /// Also print the Secrets that sources refer to.
    #[arg(long)]
    with_credentials: bool,
}

impl VerbArgs for ExportArgs {
    const VERB: Verb = Verb::Export;

    fn has_flag(id: &str, kind: Option<&Kind>) -> bool {
        id != "with_credentials" || kind.is_some_and(|kind| kind.noun[0] == "source")
    }
}

pub(crate) async fn run(app: &App, target: Target<ExportArgs>) -> Result<()> {
    let kind = target.kind();
    let args = target.args;
    if args.name.is_none() && !args.all {
        return Err(misuse("name is required"));
    }
    let namespace = app.namespace()?;
    let cluster = app.cluster().await?;
    let objects = if args.all {
        let listing = cluster.list(kind, Some(&namespace), ListParams::default());
        app.bounded("listing the objects", listing).await?
    } else {
        let name = args.name.unwrap_or_default();
        vec![app.bounded("asking for the object", cluster.get(kind, &namespace, &name)).await?]
    };
    if objects.is_empty() {
        bail!("no objects found in {namespace} namespace");
    }
    for object in &objects {
        app.output.data(format!("---\n{}", documents::yaml(&object.exported())?))?;
        if args.with_credentials
            && let Some(secret) = app.bounded("asking for the Secret", credentials(app, object)).await?
        {
            app.output.data(format!("---\n{}", documents::yaml(&secret)?))?;
        }
    }
    Ok(())
}

async fn credentials(app: &App, object: &Object) -> Result<Option<Value>> {
    let name = object.text("/spec/secretRef/name");
    if name.is_empty() {
        return Ok(None);
    }
    let secrets: Api<Secret> = Api::namespaced(app.cluster().await?.client.clone(), object.namespace());
    let secret = serde_json::to_value(secrets.get(name).await?)?;
    let mut exported = Map::new();
    exported.insert("apiVersion".into(), "v1".into());
    exported.insert("kind".into(), "Secret".into());
    exported.insert("metadata".into(), json!({"name": name, "namespace": object.namespace()}));
    for key in ["data", "type"] {
        if let Some(value) = secret.get(key) {
            exported.insert(key.into(), value.clone());
        }
    }
    Ok(Some(Value::Object(exported)))
}
