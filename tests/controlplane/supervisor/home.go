package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A home is the folder of one control plane. An open, locked file in it tells others that it is lived in: the kernel
// drops the lock with the process, however that ends, and the next supervisor sweeps what was left.
type home struct {
	path string
	lock *os.File
}

const lockName = "lock"

func newHome(parent string) (*home, error) {
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	// One at a time, else a sweeper could take a folder whose owner has not locked it yet.
	gate, err := os.OpenFile(filepath.Join(parent, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer gate.Close()
	if err := syscall.Flock(int(gate.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	sweep(parent)
	path, err := os.MkdirTemp(parent, "run-")
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return &home{path, lock}, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
}

func (h *home) remove() {
	_ = os.RemoveAll(h.path)
	_ = h.lock.Close()
}

func sweep(parent string) {
	entries, _ := os.ReadDir(parent)
	for _, entry := range entries {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), "run-") {
			continue
		}
		path := filepath.Join(parent, entry.Name())
		lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR, 0)
		if err == nil {
			err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		}
		if err == nil || os.IsNotExist(err) {
			_ = os.RemoveAll(path)
		}
		if lock != nil {
			_ = lock.Close()
		}
	}
}
