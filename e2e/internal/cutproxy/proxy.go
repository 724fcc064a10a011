// Package cutproxy is a TCP proxy on loopback that can be cut: what stands between a client and its server in a test that needs a
// connection to break without the help of either.
//
// A connection goes client ──▶ proxy ──▶ target, bytes are passed on unchanged. Only end-to-end tests use it.
package cutproxy

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy passes connections on to one target until it is cut. Safe for concurrent use.
type Proxy struct {
	listener net.Listener
	pumps    sync.WaitGroup // every goroutine of the proxy

	mu     sync.Mutex
	target string
	cut    bool
	conns  map[net.Conn]struct{}
}

// New starts a proxy in front of target; it ends with the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, conns: make(map[net.Conn]struct{})}
	p.pumps.Go(p.accept)
	t.Cleanup(func() {
		p.Cut()
		l.Close()
		p.pumps.Wait()
	})
	return p
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut ends every connection; new ones are closed at once until Mend.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for c := range p.conns {
		c.Close()
	}
}

// Mend lets new connections through again, to the given target.
func (p *Proxy) Mend(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.target = false, target
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target, cut := p.target, p.cut
		p.mu.Unlock()
		if cut {
			client.Close()
			continue
		}
		server, err := net.Dial("tcp", target)
		if err != nil {
			client.Close()
			continue
		}
		p.pumps.Go(func() { p.pump(client, server) })
	}
}

// pump passes bytes both ways until either side ends.
func (p *Proxy) pump(client, server net.Conn) {
	if !p.hold(client, server) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server) // an end by error and one without are the same here
		client.Close()
	})
	_, _ = io.Copy(server, client)
	client.Close()
	server.Close()
	back.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, client)
	delete(p.conns, server)
}

// hold keeps both connections for Cut, or ends them if Cut came first.
func (p *Proxy) hold(client, server net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		client.Close()
		server.Close()
		return false
	}
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	return true
}
