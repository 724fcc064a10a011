package client

import (
	"context"
	"sync"
)

// gate bounds the bytes of pending requests; those who must wait get in first come, first served.
// used <= max, but that one request may pass an empty gate whatever its size.
type gate struct {
	mu      sync.Mutex
	max     int
	used    int
	waiting []*gateWaiter
}

type gateWaiter struct {
	size int
	open chan struct{} // closed when the bytes were granted
}

func (g *gate) fits(size int) bool { return g.used == 0 || g.used+size <= g.max }

// enter takes size bytes, waiting for them until ctx or gone ends; it then returns ctx's error, or ErrClosed.
func (g *gate) enter(ctx context.Context, gone <-chan struct{}, size int) error {
	g.mu.Lock()
	if len(g.waiting) == 0 && g.fits(size) {
		g.used += size
		g.mu.Unlock()
		return nil
	}
	w := &gateWaiter{size: size, open: make(chan struct{})}
	g.waiting = append(g.waiting, w)
	g.mu.Unlock()
	var err error
	select {
	case <-w.open:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-gone:
		err = ErrClosed
	}
	g.forget(w)
	return err
}

// forget takes a waiter out, and gives its bytes back if they were granted meanwhile.
func (g *gate) forget(w *gateWaiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, x := range g.waiting {
		if x == w {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			g.grant()
			return
		}
	}
	g.used -= w.size
	g.grant()
}

// leave gives size bytes back.
func (g *gate) leave(size int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used -= size
	g.grant()
}

func (g *gate) grant() {
	for len(g.waiting) > 0 && g.fits(g.waiting[0].size) {
		w := g.waiting[0]
		g.waiting[0] = nil
		g.waiting = g.waiting[1:]
		g.used += w.size
		close(w.open)
	}
}
