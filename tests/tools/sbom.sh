#!/bin/sh
# sbom.sh CARGO-CYCLONEDX: writes what is in each binary to target/sbom/NAME.cdx.json. Equal commits give equal files.
set -eu

tool=$1
root=$(git -C "$(dirname -- "$0")" rev-parse --show-toplevel)
out=${CARGO_TARGET_DIR:-$root/target}/sbom
mkdir -p "$out"
# In a copy of what is committed: the tool writes a file beside each manifest.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
git clone --quiet "$root" "$work/sluice"
cd "$work/sluice"
# The time of the commit in place of that of the run, and no random number.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

# What cargo would link into a program, each as a package URL.
linked() {
    cargo tree --locked --manifest-path "$1/Cargo.toml" --edges normal --target all --prefix none --format '{p}' |
        awk '{ sub(/^v/, "", $2); print "pkg:cargo/" $1 "@" $2 }' | sort -u
}

for program in source-controller kustomize-controller helm-controller notification-controller image-controller cli; do
    "$tool" cyclonedx --quiet --format json --spec-version 1.5 --target all --manifest-path "$program/Cargo.toml"
    file=$(echo "$program"/*.cdx.json)
    # Where the copy lay is nobody's business.
    sed "s|file://$work/sluice|file:///sluice|g" "$file" >"$out/${file##*/}"
    linked "$program" | while read -r part; do
        grep -qF -e "\"$part\"" -e "\"$part?" "$out/${file##*/}" || echo "$part"
    done >"$work/missing"
    if [ -s "$work/missing" ]; then
        echo "$program: not in the list:" >&2
        cat "$work/missing" >&2
        exit 1
    fi
done
for file in "$out"/*.cdx.json; do
    echo "$file: $(grep -c '"purl"' "$file") parts"
done
