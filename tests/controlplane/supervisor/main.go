// Program supervisor starts a Kubernetes control plane of its own, says where it is, and ends it.
//
// It is a parent that cannot be outlived: its children ask the kernel to die with it, so even kill -9 leaves nothing
// running. Its own life is bound to whoever needs the control plane, in one of three ways (-until):
//
//	stdin   until its standard input closes, which it also does when the process at the other end is killed; lines in it
//	        kill parts and start them again, each answered by a line of JSON; see Cluster.order
//	lease   until nobody has been connected to its Unix socket for a while; see lease.go
//	signal  until SIGINT, SIGTERM or SIGHUP, for a person at a terminal
//
// When all is ready it prints one line of JSON: see cluster.Facts.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

func main() {
	// The kernel's promise to end the children is bound to the thread that started them: stay on this one.
	runtime.LockOSThread()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "control plane:", err)
		os.Exit(1)
	}
}

func run() error {
	var settings Settings
	until := flag.String("until", "stdin", "what ends the control plane: stdin, lease or signal")
	socket := flag.String("socket", "", "with -until=lease: the Unix socket whose connections keep the control plane alive")
	linger := flag.Duration("linger", 10*time.Second, "with -until=lease: how long to stay without a connection")
	folder := flag.String("folder", filepath.Join(os.TempDir(), fmt.Sprintf("sluice-controlplane-%d", os.Getuid())),
		"where each control plane makes a folder of its own, which goes with it")
	flag.StringVar(&settings.Program, "program", "", "the multi-call program; see build.sh")
	flag.StringVar(&settings.Assets, "assets", "", "a folder whose etcd, kube-apiserver, … are used in place of the program's (KUBEBUILDER_ASSETS)")
	flag.StringVar(&settings.Kwok, "kwok", "", "the kwok program, which plays the kubelet; without it no Pod ever runs")
	flag.StringVar(&settings.Stages, "stages", "", "a kwok configuration that says what becomes of Pods")
	flag.BoolVar(&settings.Audit, "audit", false, "write an audit log of what the controllers under test do")
	flag.Parse()
	if settings.Program == "" || flag.NArg() > 0 {
		flag.Usage()
		return errors.New("-program is missing, or an argument is not a flag")
	}

	home, err := newHome(*folder)
	if err != nil {
		return err
	}
	defer home.remove()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var lease *Lease
	orders := make(chan string)
	switch *until {
	case "stdin":
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		go func() {
			for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
				orders <- lines.Text()
			}
			cancel()
		}()
	case "lease":
		lease, err = listen(*socket, *linger)
		if err != nil {
			return err
		}
		defer lease.close()
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		go func() {
			lease.wait()
			cancel()
		}()
	case "signal":
	default:
		return fmt.Errorf("-until=%s is none of stdin, lease, signal", *until)
	}

	cluster, facts, err := start(ctx, settings, home.path)
	if cluster != nil {
		defer cluster.kill()
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil // Asked to end while starting: that is no failure.
		}
		lease.announce(map[string]string{"error": err.Error()})
		return err
	}
	lease.announce(facts)
	answers := json.NewEncoder(os.Stdout)
	if err := answers.Encode(facts); err != nil {
		return err
	}

	revivals := make(chan string, 8)
	for {
		select {
		case <-ctx.Done():
			return nil
		case exit := <-cluster.exits:
			if cluster.harmed {
				// An API server gives up when its etcd was killed. On a whole control plane nobody has a reason to.
				time.AfterFunc(time.Second, func() { revivals <- exit.name })
				continue
			}
			return fmt.Errorf("%s ended by itself: %v; its last words:\n%s", exit.name, exit.err, tail(exit.log))
		case name := <-revivals:
			if err := cluster.revive(name); err != nil {
				return err
			}
		case line := <-orders:
			id, err := cluster.order(line)
			answer := map[string]any{"id": id}
			if err != nil {
				answer["error"] = err.Error()
			}
			if err := answers.Encode(answer); err != nil {
				return err
			}
		}
	}
}

// start tries more than once: a port that was free a moment ago may be taken by another process.
func start(ctx context.Context, settings Settings, path string) (*Cluster, *Facts, error) {
	var last error
	for attempt := range 3 {
		folder := filepath.Join(path, fmt.Sprint(attempt))
		if err := os.Mkdir(folder, 0o700); err != nil {
			return nil, nil, err
		}
		attemptCtx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		cluster, facts, err := settings.start(attemptCtx, folder)
		cancel()
		if err == nil {
			return cluster, facts, nil
		}
		cluster.kill()
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		last = err
	}
	return nil, nil, last
}
