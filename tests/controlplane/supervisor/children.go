package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// A Cluster is the set of child processes.
type Cluster struct {
	folder   string
	commands []*exec.Cmd
	waits    sync.WaitGroup
	pids     map[string]int
	exits    chan exit
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
	log, err := os.Create(path)
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
	c.commands = append(c.commands, command)
	c.pids[name] = command.Process.Pid
	c.waits.Add(1)
	go func() {
		defer c.waits.Done()
		err := command.Wait()
		select {
		case c.exits <- exit{name, path, err}:
		default:
		}
	}()
	return nil
}

// kill ends all children at once: nothing that they would save is wanted.
func (c *Cluster) kill() {
	for _, command := range c.commands {
		_ = command.Process.Kill()
	}
	c.waits.Wait()
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
