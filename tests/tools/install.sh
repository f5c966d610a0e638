#!/bin/sh
# Builds one pinned tool into the cache, once, and prints its path.
#
#   install.sh NAME      NAME is in the first column of tools.txt
#   install.sh --list    names and versions
#
# The cache is ${SLUICE_CACHE:-$HOME/.cache/sluice}. Go checks the sources against its checksum database,
# cargo against its index.
# Safe to call from many processes at once: one builds, the others wait for it.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
table=$here/tools.txt
name=${1:-}
case $name in
--list)
    awk '!/^#/ && NF == 3 { print $1, $2 }' "$table"
    exit 0
    ;;
'' | -*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

entry=$(awk -v name="$name" '!/^#/ && NF == 3 && $1 == name { print $2, $3 }' "$table")
if [ -z "$entry" ]; then
    echo "no tool named \"$name\" in $table; there are: $("$0" --list | cut -d' ' -f1 | tr '\n' ' ')" >&2
    exit 2
fi
version=${entry% *}
package=${entry#* }

cache=${SLUICE_CACHE:-${HOME:?neither SLUICE_CACHE nor HOME is set}/.cache/sluice}/tools
folder=$cache/$name-$version
target=$folder/$name
if [ ! -x "$target" ]; then
    case $package in
    crate:*) ;;
    *)
        command -v go >/dev/null || {
            echo "building $name $version needs Go 1.26: https://go.dev/dl" >&2
            exit 1
        }
        ;;
    esac
    mkdir -p "$folder"
    exec 9>"$folder/lock"
    flock 9
    if [ ! -x "$target" ]; then
        echo "building $name $version (once)" >&2
        rm -rf "$folder/new"
        mkdir "$folder/new"
        case $package in
        crate:*)
            # From another folder: the toolchain and settings of this repository are not the tool's.
            (cd "$folder/new" && cargo install --quiet --locked --root . --version "${version#v}" "${package#crate:}" >&2)
            mv -f "$folder/new/bin/$name" "$target"
            ;;
        *)
            unset GOFLAGS
            CGO_ENABLED=0 GOBIN=$folder/new go install -trimpath -ldflags '-s -w' "$package@$version" >&2
            mv -f "$folder/new/$name" "$target"
            ;;
        esac
        rm -rf "$folder/new"
    fi
fi
printf '%s\n' "$target"
