//go:build !linux

package main

import (
	"os/exec"
	"syscall"
)

// dieWithParent can only keep a Ctrl-C from the child here: after a kill -9 of the supervisor the parts stay behind.
func dieWithParent(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
