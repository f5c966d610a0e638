package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A Lease keeps the control plane alive for as long as somebody is connected to its socket, and a while longer.
//
// A test process connects, reads one line (the facts, or what went wrong) and holds the connection until it ends. The
// kernel closes the connection of a process that is killed, so nothing has to be counted or cleaned by the clients.
// A client that gets no line before the end of the stream came too late and starts another supervisor.
type Lease struct {
	listener *net.UnixListener
	linger   time.Duration

	mutex   sync.Mutex
	clients int
	idle    *time.Timer
	ended   chan struct{}
	once    sync.Once
	ready   chan struct{}
	line    []byte
}

// Nobody has come yet while the control plane starts, so the first wait is longer.
const firstLinger = time.Minute

func listen(socket string, linger time.Duration) (*Lease, error) {
	if socket == "" {
		return nil, errors.New("-until=lease needs -socket")
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, err
	}
	lease := &Lease{listener: listener, linger: linger, ended: make(chan struct{}), ready: make(chan struct{})}
	lease.idle = time.AfterFunc(firstLinger, lease.end)
	go lease.accept()
	return lease, nil
}

func (l *Lease) accept() {
	for {
		connection, err := l.listener.AcceptUnix()
		if err != nil {
			return
		}
		l.mutex.Lock()
		l.clients++
		l.idle.Stop()
		l.mutex.Unlock()
		go l.serve(connection)
	}
}

func (l *Lease) serve(connection *net.UnixConn) {
	gone := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, connection)
		close(gone)
	}()
	select {
	case <-l.ready:
		if _, err := connection.Write(l.line); err == nil {
			<-gone
		}
	case <-gone:
	case <-l.ended:
	}
	_ = connection.Close()
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.clients--
	if l.clients == 0 {
		l.idle.Reset(l.linger)
	}
}

// announce sends facts to all that are connected, and to those who come later.
func (l *Lease) announce(facts any) {
	if l == nil {
		return
	}
	line, err := json.Marshal(facts)
	if err != nil {
		return
	}
	l.line = append(line, '\n')
	close(l.ready)
}

func (l *Lease) end() {
	// A client may have come in the moment that the timer fired.
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.clients == 0 {
		l.once.Do(func() {
			_ = l.listener.Close() // Takes the socket's file away as well.
			close(l.ended)
		})
	}
}

func (l *Lease) wait() { <-l.ended }

func (l *Lease) close() {
	_ = l.listener.Close()
	// Let an error line reach those who wait for it.
	for range 20 {
		l.mutex.Lock()
		clients := l.clients
		l.mutex.Unlock()
		if clients == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
}
