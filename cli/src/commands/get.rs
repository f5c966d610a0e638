//! `get`: objects and how they are.

use anyhow::{Result, anyhow, bail};
use clap::{Args, ValueEnum};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};

use crate::app::App;
use crate::cluster;
use crate::documents::Format;
use crate::failure::{self, Failures};
use crate::kinds::{Column, Kind};
use crate::nouns::{Target, Verb, VerbArgs};
use crate::object::Object;
use crate::selector::StatusSelector;
use crate::table::{Look, Table};
use crate::time;
use crate::wait;

/// Flags of `get`.
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// Only the object of this name.
    name: Option<String>,
    /// Look in all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Leave the line of titles out.
    #[arg(long)]
    no_header: bool,
    /// Only objects with this status of a condition, as type=status or type!=status (ready=false).
    #[arg(long, value_name = "SELECTOR")]
    status_selector: Option<String>,
    /// Only objects with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    label_selector: Option<String>,
    /// Go on and show each change, until --timeout.
    #[arg(short, long)]
    watch: bool,
    /// Show where it comes from.
    #[arg(long)]
    show_source: bool,
    /// Print whole objects, names, or more columns.
    #[arg(short, long, value_enum)]
    output: Option<Form>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Json,
    Yaml,
    Wide,
    Name,
}

impl VerbArgs for GetArgs {
    const VERB: Verb = Verb::Get;

    fn has_flag(id: &str, kind: Option<&Kind>) -> bool {
        match (id, kind) {
            ("show_source", Some(kind)) => matches!(kind.kind, "Kustomization" | "HelmRelease"),
            ("show_source" | "name", None) => false,
            _ => true,
        }
    }

    fn several() -> &'static [&'static [&'static str]] {
        &[&["all"], &["source", "all"], &["image", "all"]]
    }

    fn plural() -> bool {
        true
    }
}

/// What to get and how to show it.
struct Request {
    args: GetArgs,
    namespace: Option<String>,
    selector: Option<StatusSelector>,
    params: ListParams,
    /// Whether names are printed with their kind.
    prefixed: bool,
}

pub(crate) async fn run(app: &App, target: Target<GetArgs>) -> Result<()> {
    let Target { kinds, several, args } = target;
    let namespace = if args.all_namespaces { None } else { Some(app.namespace()?) };
    let selector = args.status_selector.as_deref().map(StatusSelector::parse).transpose()?;
    let mut params = ListParams::default();
    if let Some(labels) = &args.label_selector {
        params = params.labels(labels);
    }
    if let Some(name) = &args.name {
        params = params.fields(&format!("metadata.name={name}"));
    }
    let request = Request { args, namespace, selector, params, prefixed: several };
    if request.args.watch {
        return request.watch(app, &kinds).await;
    }
    if several {
        return app.bounded("listing the objects", request.all(app, &kinds)).await;
    }
    let Some(kind) = kinds.first() else { bail!("expected a resource type") };
    let objects = app.bounded("listing the objects", request.objects(app, kind)).await?;
    if objects.is_empty() && request.selector.is_none() {
        return Err(request.nothing(kind));
    }
    request.print(app, &[(*kind, objects)])
}

impl Request {
    async fn objects(&self, app: &App, kind: &Kind) -> Result<Vec<Object>> {
        let objects = app.cluster().await?.list(kind, self.namespace.as_deref(), self.params.clone()).await?;
        Ok(objects.into_iter().filter(|object| self.selects(kind, object)).collect())
    }

    fn selects(&self, kind: &Kind, object: &Object) -> bool {
        self.selector.as_ref().is_none_or(|selector| selector.matches(object, kind.is_static))
    }

    fn nothing(&self, kind: &Kind) -> anyhow::Error {
        let place = match &self.namespace {
            Some(namespace) => format!("{namespace:?} namespace"),
            None => "any namespace".to_owned(),
        };
        match &self.args.name {
            Some(name) => anyhow!("{} object '{name}' not found in {place}", kind.kind),
            None => anyhow!("no {} objects found in {place}", kind.kind),
        }
    }

    /// Several kinds: what cannot be listed does not keep the others from being shown.
    async fn all(&self, app: &App, kinds: &[&'static Kind]) -> Result<()> {
        // The kinds are asked for together and shown in order.
        app.cluster().await?;
        let mut lists =
            stream::iter(kinds).map(|kind| async move { (*kind, self.objects(app, kind).await) }).buffered(8);
        let mut found = Vec::new();
        let mut failures = Failures::default();
        while let Some((kind, objects)) = lists.next().await {
            match objects {
                Ok(objects) if objects.is_empty() => {}
                Ok(objects) => found.push((kind, objects)),
                Err(error) if cluster::is_not_installed(&error) => {}
                Err(error) if failure::is_unreachable(&error) => return Err(error),
                Err(error) => failures.tell(app, None, &error),
            }
        }
        failures.advise(app);
        if found.is_empty()
            && failures.count == 0
            && !matches!(self.args.output, Some(Form::Json | Form::Yaml))
        {
            let place = self
                .namespace
                .as_ref()
                .map_or("any namespace".into(), |namespace| format!("{namespace:?} namespace"));
            app.output.say(&format!("no objects found in {place}"));
            return Ok(());
        }
        self.print(app, &found)
    }

    fn print(&self, app: &App, found: &[(&Kind, Vec<Object>)]) -> Result<()> {
        match self.args.output {
            Some(Form::Json) => app.output.data(Format::Json.print(&self.document(found))?),
            Some(Form::Yaml) => app.output.data(Format::Yaml.print(&self.document(found))?),
            Some(Form::Name) => {
                let names = found
                    .iter()
                    .flat_map(|(kind, objects)| objects.iter().map(|object| named(kind, object) + "\n"));
                app.output.data(names.collect::<String>())
            }
            _ => {
                for (kind, objects) in found {
                    app.output.data(self.table(kind, objects, look(app), Timestamp::now()))?;
                    if self.prefixed {
                        app.output.data("\n")?;
                    }
                }
                Ok(())
            }
        }
    }

    /// One object as it is, several as a list.
    fn document(&self, found: &[(&Kind, Vec<Object>)]) -> Value {
        let mut items: Vec<Value> =
            found.iter().flat_map(|(_, objects)| objects).map(Object::without_bookkeeping).collect();
        if self.args.name.is_some() && items.len() == 1 {
            return items.remove(0);
        }
        json!({"apiVersion": "v1", "kind": "List", "items": items, "metadata": {}})
    }

    fn columns(&self, kind: &'static Kind) -> Vec<&'static Column> {
        let asked = self.args.show_source || self.is_wide();
        let wide = if self.is_wide() { kind.wide } else { &[] };
        kind.columns.iter().filter(|column| asked || !column.on_request).chain(wide).collect()
    }

    fn is_wide(&self) -> bool {
        self.args.output == Some(Form::Wide)
    }

    fn titles(&self, kind: &'static Kind) -> Vec<&'static str> {
        let mut titles = Vec::new();
        if self.namespace.is_none() {
            titles.push("Namespace");
        }
        titles.push("Name");
        titles.extend(self.columns(kind).iter().map(|column| column.title));
        if self.is_wide() {
            titles.push("Age");
        }
        titles.extend(["Ready", "Message"]);
        titles
    }

    fn row(&self, kind: &'static Kind, object: &Object, now: Timestamp) -> Vec<String> {
        let mut row = Vec::new();
        if self.namespace.is_none() {
            row.push(object.namespace().to_owned());
        }
        row.push(if self.prefixed { named(kind, object) } else { object.name().to_owned() });
        row.extend(self.columns(kind).iter().map(|column| kind.cell(column, object)));
        if self.is_wide() {
            row.push(time::age(object.text("/metadata/creationTimestamp"), now));
        }
        let (ready, message) = kind.state(object);
        row.extend([ready, message]);
        row
    }

    fn table(&self, kind: &Kind, objects: &[Object], look: Look, now: Timestamp) -> String {
        // The table of kinds is the only place that kinds come from.
        let Some(kind) = Kind::named(kind.kind) else { return String::new() };
        let rows: Vec<Vec<String>> = objects.iter().map(|object| self.row(kind, object, now)).collect();
        Table::render(self.titles(kind), &rows, !self.args.no_header, look)
    }

    /// A row for each object and then for each change, until the time is over.
    async fn watch(&self, app: &App, kinds: &[&'static Kind]) -> Result<()> {
        if matches!(self.args.output, Some(Form::Json | Form::Yaml)) {
            bail!("--watch prints rows: leave --output out, or use wide or name");
        }
        let cluster = app.cluster().await?;
        let mut installed = Vec::new();
        for kind in kinds {
            // A missing kind would be asked for again and again.
            let api = cluster.api(kind, self.namespace.as_deref());
            match api.list(&self.params.clone().limit(1)).await {
                Ok(_) => installed.push(*kind),
                Err(kube::Error::Api(status)) if self.prefixed && failure::is_missing_resource(&status) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let watches = installed.into_iter().map(|kind| {
            let api = cluster.api(kind, self.namespace.as_deref());
            let config = watcher::Config {
                label_selector: self.params.label_selector.clone(),
                field_selector: self.params.field_selector.clone(),
                ..watcher::Config::default()
            };
            watcher(api, config).default_backoff().applied_objects().map(move |event| (kind, event)).boxed()
        });
        let mut events = stream::select_all(watches);
        let mut shown: Option<(&str, Table)> = None;
        let work = async {
            while let Some((kind, event)) = events.next().await {
                let object = match event {
                    Ok(object) => Object::from_server(object, kind),
                    // Whoever may list and not watch is told so once.
                    Err(error) if wait::is_final(&error) => return Err(error.into()),
                    Err(error) => {
                        app.output.failure(&failure::text(&error.into()));
                        continue;
                    }
                };
                if !self.selects(kind, &object) {
                    continue;
                }
                if self.args.output == Some(Form::Name) {
                    app.output.data(named(kind, &object) + "\n")?;
                    continue;
                }
                let row = self.row(kind, &object, Timestamp::now());
                let first = shown.as_ref().is_none_or(|(shown, _)| *shown != kind.kind);
                let (_, table) = match &mut shown {
                    Some(shown) if !first => shown,
                    other => other.insert((kind.kind, Table::new(self.titles(kind)))),
                };
                table.fit(std::slice::from_ref(&row));
                if first && !self.args.no_header {
                    app.output.data(table.header(look(app)))?;
                }
                app.output.data(table.row(&row, look(app)))?;
            }
            Ok(())
        };
        // The end of the time is the end of a watch, not a failure.
        tokio::time::timeout_at(app.deadline, work).await.unwrap_or(Ok(()))
    }
}

/// `kind/name`, the kind in lower case.
fn named(kind: &Kind, object: &Object) -> String {
    format!("{}/{}", kind.kind.to_lowercase(), object.name())
}

/// How tables look on this stdout.
pub(crate) fn look(app: &App) -> Look {
    if app.output.data_terminal { Look::Pretty(app.output.data_style) } else { Look::Plain }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{ALERT, EXTERNAL_ARTIFACT, GIT_REPOSITORY, IMAGE_POLICY, KUSTOMIZATION};

    fn request(namespace: Option<&str>, prefixed: bool, change: impl Fn(&mut GetArgs)) -> Request {
        let mut args = GetArgs {
            name: None,
            all_namespaces: namespace.is_none(),
            no_header: false,
            status_selector: None,
            label_selector: None,
            watch: false,
            show_source: false,
            output: None,
        };
        change(&mut args);
        Request {
            args,
            namespace: namespace.map(str::to_owned),
            selector: None,
            params: ListParams::default(),
            prefixed,
        }
    }

    fn now() -> Timestamp {
        "2026-01-01T01:00:00Z".parse().unwrap()
    }

    fn repository() -> Object {
        let message = "stored artifact for revision 'main@sha1:696f056df216eea4f9401adbee0ff744d4df390f'";
        Object(json!({
            "metadata": {"name": "podinfo", "namespace": "apps", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"url": "https://example.com/podinfo", "interval": "1m0s"},
            "status": {
                "artifact": {"revision": "main@sha1:696f056df216eea4f9401adbee0ff744d4df390f"},
                "conditions": [{"type": "Ready", "status": "True", "message": message}],
            },
        }))
    }

    fn render(request: &Request, kind: &'static Kind, object: Object) -> String {
        request.table(kind, &[object], Look::Plain, now())
    }

    #[test]
    fn a_source_with_its_revision() {
        let message = "stored artifact for revision 'main@sha1:696f056d'";
        let expected = format!(
            "NAME   \tREVISION          \tSUSPENDED\tREADY\t{:<width$} \n\
             podinfo\tmain@sha1:696f056d\tFalse    \tTrue \t{message}\t\n",
            "MESSAGE",
            width = message.len(),
        );
        assert_eq!(render(&request(Some("apps"), false, |_| {}), &GIT_REPOSITORY, repository()), expected);
    }

    #[test]
    fn all_namespaces_kind_prefix_and_wide() {
        let text = render(
            &request(None, true, |args| args.output = Some(Form::Wide)),
            &GIT_REPOSITORY,
            repository(),
        );
        let mut lines = text.lines();
        let titles: Vec<_> = lines.next().unwrap().split('\t').map(str::trim).collect();
        assert_eq!(
            titles,
            ["NAMESPACE", "NAME", "REVISION", "SUSPENDED", "URL", "INTERVAL", "AGE", "READY", "MESSAGE"]
        );
        let cells: Vec<_> = lines.next().unwrap().split('\t').map(str::trim).collect();
        assert_eq!(
            cells[..7],
            [
                "apps",
                "gitrepository/podinfo",
                "main@sha1:696f056d",
                "False",
                "https://example.com/podinfo",
                "1m0s",
                "60m"
            ]
        );
    }

    fn titles(kind: &'static Kind, change: impl Fn(&mut GetArgs)) -> Vec<&'static str> {
        request(Some("a"), false, change).titles(kind)
    }

    #[test]
    fn columns_are_those_of_the_reference() {
        assert_eq!(titles(&KUSTOMIZATION, |_| {}), ["Name", "Revision", "Suspended", "Ready", "Message"]);
        let with_source = titles(&KUSTOMIZATION, |args| args.show_source = true);
        assert_eq!(with_source, ["Name", "Source", "Revision", "Suspended", "Ready", "Message"]);
        assert_eq!(titles(&IMAGE_POLICY, |_| {}), ["Name", "Image", "Tag", "Ready", "Message"]);
        assert_eq!(titles(&EXTERNAL_ARTIFACT, |_| {}), ["Name", "Revision", "Source", "Ready", "Message"]);
        assert_eq!(titles(&ALERT, |_| {}), ["Name", "Suspended", "Ready", "Message"]);
    }

    #[test]
    fn one_named_object_is_printed_alone_and_several_as_a_list() {
        let found = [(&GIT_REPOSITORY, vec![repository()])];
        let list = request(Some("apps"), false, |_| {}).document(&found);
        assert_eq!(
            (&list["kind"], &list["items"][0]["metadata"]["name"]),
            (&json!("List"), &json!("podinfo"))
        );
        let one = request(Some("apps"), false, |args| args.name = Some("podinfo".into())).document(&found);
        assert_eq!(one["metadata"]["name"], "podinfo");
    }

    #[test]
    fn nothing_found_is_told_in_the_words_of_the_reference() {
        let text = |request: &Request| request.nothing(&GIT_REPOSITORY).to_string();
        assert_eq!(
            text(&request(Some("a"), false, |_| {})),
            "no GitRepository objects found in \"a\" namespace"
        );
        assert_eq!(text(&request(None, false, |_| {})), "no GitRepository objects found in any namespace");
        let named = request(Some("a"), false, |args| args.name = Some("x".into()));
        assert_eq!(text(&named), "GitRepository object 'x' not found in \"a\" namespace");
    }
}
