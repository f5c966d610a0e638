package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
)

// A Cluster is the set of child processes.
type Cluster struct {
	folder string
	parts  map[string]*part
	waits  sync.WaitGroup
	pids   map[string]int
	exits  chan exit
	harmed bool // somebody has killed a part by order
}

// A part is a child and how it was started.
type part struct {
	program   string
	arguments []string
	command   *exec.Cmd
	ended     chan struct{} // closed when the child has
	wanted    atomic.Bool   // its end is no accident
}

type exit struct {
	name, log string
	err       error
}

// all runs the steps in order, on this goroutine and thus on this thread, up to the first error.
func (c *Cluster) all(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// run starts one child, with its output in a file of the cluster's folder.
func (c *Cluster) run(name, program string, arguments ...string) error {
	path := filepath.Join(c.folder, name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(program, arguments...)
	command.Stdout, command.Stderr, command.Dir = log, log, c.folder
	// No file of the person who runs the tests is read.
	command.Env = append(os.Environ(), "HOME="+c.folder, "KUBECONFIG=")
	dieWithParent(command)
	if err := command.Start(); err != nil {
		return err
	}
	child := &part{program: program, arguments: arguments, command: command, ended: make(chan struct{})}
	c.parts[name] = child
	c.pids[name] = command.Process.Pid
	c.waits.Add(1)
	go func() {
		defer c.waits.Done()
		err := command.Wait()
		close(child.ended)
		if child.wanted.Load() {
			return
		}
		select {
		case c.exits <- exit{name, path, err}:
		default:
		}
	}()
	return nil
}

// kill ends all children at once: nothing that they would save is wanted.
func (c *Cluster) kill() {
	for _, child := range c.parts {
		_ = child.command.Process.Kill()
	}
	c.waits.Wait()
}

// order does what a line of our standard input says to one part, and returns its process id: "kill NAME" as kill -9
// does, "start NAME" with the arguments of before. It must be called where the parts were started.
func (c *Cluster) order(line string) (int, error) {
	verb, name, _ := strings.Cut(line, " ")
	child, known := c.parts[name]
	if !known {
		return 0, fmt.Errorf("%q names no part", line)
	}
	switch verb {
	case "kill":
		c.harmed = true
		child.wanted.Store(true)
		_ = child.command.Process.Kill()
		<-child.ended
		return child.command.Process.Pid, nil
	case "start":
		select {
		case <-child.ended:
		default:
			return child.command.Process.Pid, nil // It runs.
		}
		err := c.run(name, child.program, child.arguments...)
		return c.pids[name], err
	}
	return 0, fmt.Errorf("%q is neither kill nor start", line)
}

// revive starts a part again that ended by itself, as a kubelet does, unless it was killed since or runs already. Like
// order it must be called where the parts were started.
func (c *Cluster) revive(name string) error {
	if c.parts[name].wanted.Load() {
		return nil
	}
	_, err := c.order("start " + name)
	return err
}

// tail is the end of a file.
func tail(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	const most = 2000
	if info, err := file.Stat(); err == nil && info.Size() > most {
		_, _ = file.Seek(-most, io.SeekEnd)
	}
	data, _ := io.ReadAll(file)
	return string(data)
}
