#!/bin/sh
# How much faster than `helm template` the engine is: CPU time and memory of whole processes, on a chart like
# kube-prometheus-stack (subcharts, 120 rule and dashboard templates, large CRDs) and on a small one. Then the CPU time of
# one render within a process, beside helm's engine from its Go module (within/): in each round both compose the values,
# check them against schemas and execute the templates; loading, dependencies and sorting are no part of it.
# "again": templates are parsed in each round, as helm's are; "kept": they are parsed once, as in a controller.
#
#   bench.sh [ROUNDS [SLUICE]]
#
# With a path of `sluice`, that program is measured, only as whole processes, and nothing is built.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$here/../../..
rounds=${1:-10}
helm=$("$root/tests/tools/install.sh" helm)
sluice=${2:-}
if [ -z "$sluice" ]; then
    cargo build --quiet --manifest-path "$root/Cargo.toml" --profile fast -p sluice-helm --example template
    target=$(cargo metadata --manifest-path "$root/Cargo.toml" --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    ours=$target/fast/examples/template
    (cd "$here/within" && GOFLAGS= go build -trimpath -o "$target/fast/within" .)
    within=$target/fast/within
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Files behind lines "=== PATH" become a folder.
unfold() {
    awk -v base="$2" '/^=== /{path = base "/" $2; folder = path; sub(/\/[^\/]*$/, "", folder); system("mkdir -p \"" folder "\""); next} {print > path}' "$1"
}
unfold "$here/../tests/cases/podinfo.chart" "$work/small"
unfold "$here/../tests/cases/kube-prometheus-like.chart" "$work/large"
# A chart like this one does not ask for all its files: CRDs are only looked at where they are printed.
sed -i '/range .* := \.Files/d' "$work/large/templates/parent.yaml"
index=0
while [ $index -lt 120 ]; do
    {
        printf '{{- if semverCompare ">=1.19-0" .Capabilities.KubeVersion.GitVersion }}\n'
        printf 'apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: {{ printf "%%s-%%s" .Release.Name "rules-%s" | trunc 63 | trimSuffix "-" }}\n' $index
        printf '  labels:\n    app: {{ .Chart.Name }}\n{{- with .Values.commonLabels }}\n{{ toYaml . | indent 4 }}\n{{- end }}\nspec:\n  groups:\n'
        rule=0
        while [ $rule -lt 12 ]; do
            printf '  - name: group-%s\n    rules:\n{{- if not (.Values.disabled).rule%s }}\n    - alert: Alert%s\n      expr: sum(rate(requests_total{job="{{ .Release.Name }}", code=~"5.."}[5m])) by (instance) > %s\n      for: {{ dig "rules" "for" "15m" .Values.AsMap }}\n      labels:\n        severity: {{ default "warning" .Values.severity | quote }}\n      annotations:\n        summary: {{ `Instance {{ $labels.instance }} has many errors.` | quote }}\n{{- end }}\n' $rule $rule $rule $rule
            rule=$((rule + 1))
        done
        printf '{{- end }}\n'
    } >"$work/large/templates/rules-$index.yaml"
    index=$((index + 1))
done
mkdir -p "$work/large/crds"
index=0
while [ $index -lt 8 ]; do
    {
        printf 'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: crd%s.example.com\nspec:\n  properties:\n' $index
        awk 'BEGIN { for (i = 0; i < 6000; i++) printf "    field%d:\n      type: string\n      description: A field among many, with a text of some length.\n", i }'
    } >"$work/large/crds/crd-$index.yaml"
    index=$((index + 1))
done

# CPU seconds of all rounds, and the most memory of one.
measure() {
    /usr/bin/time -f '%U %S %M' -o "$work/one" "$@" >/dev/null
    peak=$(awk '{ print $3 }' "$work/one")
    /usr/bin/time -f '%U %S' -o "$work/all" sh -c 'i=0; while [ $i -lt '"$rounds"' ]; do "$@" >/dev/null; i=$((i + 1)); done' run "$@"
    total=$(awk '{ print $1 + $2 }' "$work/all")
    echo "$total $peak"
}
# CPU milliseconds of one of 40 rounds, beyond those of the first: a command that takes the number of rounds last.
round() {
    for rounds_of_it in 1 41; do
        /usr/bin/time -f '%U %S' -o "$work/round-$rounds_of_it" "$@" $rounds_of_it >/dev/null
    done
    cat "$work/round-1" "$work/round-41" | awk '{ sum = $1 + $2 - sum } END { printf "%.2f", sum * 1000 / 40 }'
}
# Helm's options behind the chart's name: whole processes.
whole() {
    label=$1
    chart=$2
    shift 2
    set -- template rel "$work/$chart" "$@"
    theirs=$(measure "$helm" "$@")
    if [ -n "$sluice" ]; then mine=$(measure "$sluice" helm "$@"); else mine=$(measure "$ours" "$@"); fi
    echo "$theirs $mine" | awk -v label="$label" -v rounds="$rounds" '{
        printf "%s: helm %.1f ms CPU, %.1f MB; ours %.1f ms CPU, %.1f MB: %.1f times faster, %.2f of the memory\n",
            label, $1 * 1000 / rounds, $2 / 1024, $3 * 1000 / rounds, $4 / 1024, $1 / ($3 > 0 ? $3 : 0.001), $4 / $2 }'
}
whole small small --include-crds
whole large large --include-crds
whole "large without CRDs" large
[ -z "$sluice" ] || exit 0
for chart in small large; do
    theirs=$(round "$within" "$work/$chart")
    again=$(round "$ours" template rel "$work/$chart" --parse-again --repeat)
    kept=$(round "$ours" template rel "$work/$chart" --repeat)
    echo "$theirs $again $kept" | awk -v chart=$chart '{
        printf "%s, a render within a process: helm %s ms CPU; ours again %s, %.1f times faster; kept %s, %.1f times faster\n",
            chart, $1, $2, $1 / ($2 > 0 ? $2 : 0.01), $3, $1 / ($3 > 0 ? $3 : 0.01) }'
done
