#!/bin/sh
# Builds the control plane program or its supervisor into the cache, once, and prints the path of the file.
#
#   build.sh program      etcd, kube-apiserver, kube-controller-manager, kube-scheduler: minutes the first time
#   build.sh supervisor   starts and ends them: seconds
#
# The cache is ${SLUICE_CACHE:-$HOME/.cache/sluice}. A file there is keyed by a hash of all that goes into it, so that
# an unchanged source is never built again, and clones of different ages do not disturb each other.
set -eu

part=${1:-}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cache=${SLUICE_CACHE:-${HOME:?neither SLUICE_CACHE nor HOME is set}/.cache/sluice}/controlplane
version=v1.36.3

case $part in
program) package=. sources='main.go' ;;
supervisor) package=./supervisor sources='supervisor/*.go' ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

cd "$here"
# shellcheck disable=SC2086 # the pattern is meant to expand
key=$(cat go.mod go.sum build.sh $sources | sha256sum | cut -c1-16)
target=$cache/$part-$key
if [ -x "$target" ]; then
    printf '%s\n' "$target"
    exit 0
fi

mkdir -p "$cache"
exec 9>"$cache/$part.lock"
flock 9
if [ ! -x "$target" ]; then
    command -v go >/dev/null || {
        echo "building the test control plane needs Go 1.26: https://go.dev/dl" >&2
        exit 1
    }
    echo "building the test control plane's $part (once; the program takes some minutes)" >&2
    versions=k8s.io/component-base/version
    unset GOFLAGS GOBIN
    CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath \
        -ldflags "-s -w -X $versions.gitVersion=$version -X $versions.gitMajor=1 -X $versions.gitMinor=36" \
        -o "$target.new" "$package" >&2
    mv -f "$target.new" "$target"
    # Files of older sources go when they have not been used for a month.
    find "$cache" -maxdepth 1 -type f -name "$part-*" -atime +30 -delete 2>/dev/null || true
fi
printf '%s\n' "$target"
