#!/bin/sh
# sbom.sh CARGO-CYCLONEDX: writes what is in each binary to target/sbom/NAME.cdx.json.
set -eu

tool=$1
root=$(git -C "$(dirname -- "$0")" rev-parse --show-toplevel)
out=${CARGO_TARGET_DIR:-$root/target}/sbom
mkdir -p "$out"
# In a copy: the tool writes a file beside each manifest.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
git clone --quiet "$root" "$work/sluice"
cd "$work/sluice"
for program in source-controller kustomize-controller helm-controller notification-controller image-controller cli; do
    "$tool" cyclonedx --quiet --format json --spec-version 1.5 --target all --manifest-path "$program/Cargo.toml"
    for file in "$program"/*.cdx.json; do mv "$file" "$out/"; done
done
for file in "$out"/*.cdx.json; do
    echo "$file: $(grep -c '"purl"' "$file") parts"
done
