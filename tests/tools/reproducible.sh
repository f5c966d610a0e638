#!/bin/sh
# Builds the release binaries of HEAD twice, from two clones in two folders without anything compiled, and compares them
# byte by byte.
set -eu

root=$(git -C "$(dirname -- "$0")" rev-parse --show-toplevel)
programs="source-controller kustomize-controller helm-controller notification-controller image-controller sluice"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

packages=""
for program in $programs; do packages="$packages --package $program"; done
for folder in first second/at/another/depth; do
    mkdir -p "$work/$folder"
    git clone --quiet "$root" "$work/$folder/sluice"
    echo "building in $folder" >&2
    # shellcheck disable=SC2086
    (cd "$work/$folder/sluice" && CARGO_TARGET_DIR=$PWD/target cargo build --quiet --release --locked --bins $packages)
done

differ=0
for program in $programs; do
    one=$work/first/sluice/target/release/$program
    other=$work/second/at/another/depth/sluice/target/release/$program
    if cmp -s "$one" "$other"; then
        sha256sum "$one" | sed "s|  .*|  $program, $(wc -c <"$one") bytes, twice the same|"
    else
        echo "$program differs between two builds" >&2
        differ=1
    fi
done
exit $differ
