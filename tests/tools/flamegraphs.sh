#!/bin/sh
# Flamegraphs of the CPU time of kustomize-, source- and helm-controller while Kustomizations, then HelmReleases are
# installed, upgraded and looked at again.
#
#   flamegraphs.sh PROGRAMS FOLDER COUNT    PROGRAMS: folder of binaries with symbols, `bench` too
#
# Writes FOLDER/CONTROLLER-SUBJECT.svg. Samples are of CPU time, so a busy machine does not change the shares. Needs perf,
# and the right to use it (kernel.perf_event_paranoid at most 2).
set -eu

programs=$(CDPATH='' cd -- "$1" && pwd)
mkdir -p "$2"
folder=$(CDPATH='' cd -- "$2" && pwd)
count=$3

perf=$(command -v perf) || {
    echo "flamegraphs need perf: the package linux-perf or linux-tools of your distribution" >&2
    exit 1
}
setsid=$(command -v setsid)
setarch=$(command -v setarch)
sleep=$(command -v sleep)
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# Named in the order in which a pipe uses them.
collapse=$("$here/install.sh" inferno-collapse-perf)
draw=$("$here/install.sh" inferno-flamegraph)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

for subject in kustomizations helm-releases; do
    case $subject in
    helm-releases) controllers="source-controller helm-controller" kind=--helm-releases ;;
    *) controllers=kustomize-controller kind= ;;
    esac
    mkdir "$work/$subject"
    for program in "$programs"/*; do
        if [ -f "$program" ] && [ -x "$program" ]; then ln -s "$program" "$work/$subject/"; fi
    done
    for controller in $controllers; do
        # perf looks on from a session of its own, so that it ends with what it watches and writes its file whole.
        rm "$work/$subject/$controller"
        cat >"$work/$subject/$controller" <<WRAPPER
#!/bin/sh
"$setsid" "$perf" record --quiet --event cpu-clock --freq 997 --call-graph dwarf,65528 --pid \$\$ \\
    --output "$work/$controller-$subject.data" </dev/null >/dev/null 2>"$work/$controller-$subject.log" &
echo \$! >"$work/$controller-$subject.pid"
# Until perf has opened its events; what starts before goes unseen, no more.
"$sleep" 1
exec "$programs/$controller" "\$@"
WRAPPER
        chmod +x "$work/$subject/$controller"
    done
    # perf keeps what was mapped before an exec and takes the lowest address of a file for the start of all of it: without
    # random addresses the script above, which maps less, has its libraries higher than the controller, and a controller
    # that starts itself again is where it was.
    # shellcheck disable=SC2086 # empty is no argument
    SLUICE_BIN_DIR=$work/$subject "$setarch" --addr-no-randomize "$programs/bench" --no-limit --count "$count" $kind
    for controller in $controllers; do
        data=$work/$controller-$subject.data
        while kill -0 "$(cat "$work/$controller-$subject.pid")" 2>/dev/null; do sleep 0.2; done
        if ! [ -s "$data" ]; then
            cat "$work/$controller-$subject.log" >&2
            exit 1
        fi
        "$perf" script --no-inline --comms tokio-rt-worker --max-stack 500 --input "$data" --fields comm,pid,tid,time,event,ip,sym,dso 2>/dev/null |
            "$collapse" | "$draw" --title "$controller: CPU time of $count $subject" --minwidth 0.2 >"$folder/$controller-$subject.svg"
        echo "$folder/$controller-$subject.svg"
    done
done
