//! What a HelmRelease costs the API server.

use crate::helm::{HelmOps, helm_ops};
use anyhow::{Result, ensure};
use serde_json::json;
use sluice_tests::{Audit, Call, TestChart};
use std::collections::BTreeMap;

const CONFIG: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {text: {{ .Values.text }}}
";

/// The requests for a release since a mark, by verb and resource: not Events, and not what begins a watch. Besides, how often
/// the status was written: the last write may be missing, as a watch can be faster than the log.
fn costs(ops: &HelmOps, mark: &Audit) -> Result<(BTreeMap<String, usize>, usize)> {
    let mut costs = BTreeMap::new();
    let is_counted = |call: &Call| {
        call.namespace == ops.namespace
            && call.resource != "events"
            && (!call.name.is_empty() || call.uri.contains("owner%3Dhelm") || call.verb == "create")
    };
    for call in mark.calls(is_counted)? {
        *costs.entry(format!("{} {}", call.verb, call.resource)).or_default() += 1;
    }
    let told = costs.remove("patch helmreleases/status").unwrap_or_default();
    Ok((costs, told))
}

fn map(entries: &[(&str, usize)]) -> BTreeMap<String, usize> {
    entries.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_costs_no_more_requests_than_it_needs() -> Result<()> {
    helm_ops("helm-cost", &[], async |ops| {
        let Some(mark) = Audit::mark(ops.plane)? else { return Ok(()) };
        ops.chart("app", &TestChart::new("shop", "1.0.0").file("templates/config.yaml", CONFIG)).await?;
        ops.release("shop", json!({"values": {"text": "one"}})).await?;
        ops.ready("shop", 1).await?;
        // Which revisions there are; the record, the object, the record again; the finalizer.
        let install = map(&[
            ("create secrets", 1),
            ("list secrets", 1),
            ("patch configmaps", 1),
            ("patch helmreleases", 1),
            ("update secrets", 1),
        ]);
        let (found, told) = costs(ops, &mark)?;
        // That it begins, and how it ended. On a slow machine also that the chart is waited for.
        ensure!(found == install && told <= 4, "install: {told} times the status, {found:?}");

        let Some(mark) = Audit::mark(ops.plane)? else { return Ok(()) };
        ops.release("shop", json!({"values": {"text": "two"}})).await?;
        ops.ready("shop", 2).await?;
        let upgrade = map(&[
            ("create secrets", 1),
            ("get secrets", 1),
            ("list secrets", 1),
            ("patch configmaps", 1),
            ("update secrets", 2),
        ]);
        let (found, told) = costs(ops, &mark)?;
        ensure!(found == upgrade && told <= 3, "upgrade: {told} times the status, {found:?}");

        let Some(mark) = Audit::mark(ops.plane)? else { return Ok(()) };
        ops.request("shop", &[]).await?;
        let (found, told) = costs(ops, &mark)?;
        ensure!(
            found == map(&[("list secrets", 1)]) && told <= 2,
            "unchanged: {told} times the status, {found:?}"
        );
        Ok(())
    })
    .await
}
