package lan

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Stats counts packets since the LAN was made.
type Stats struct {
	Passed, Lost, Late, Doubled int64
}

// LAN is the switch. Safe for concurrent use.
type LAN struct {
	// Constant after New.

	home *os.File      // the test's own network namespace
	wake chan struct{} // of one: the head of the queue has changed
	stop chan struct{}
	work sync.WaitGroup // every goroutine

	mu     sync.Mutex
	rand   *rand.Rand
	hosts  map[netip.Addr]*Host
	links  map[[2]netip.Addr]*link
	queue  queue
	closed bool
	stats  Stats
}

// New makes a LAN that draws the fate of packets from the seed, with the test's own namespace as a host of the given address.
func New(seed uint64, here netip.Addr) (*LAN, error) {
	home, err := threadNamespace()
	if err != nil {
		return nil, fmt.Errorf("lan: the test's own network namespace: %w", err)
	}
	l := &LAN{
		home:  home,
		wake:  make(chan struct{}, 1),
		stop:  make(chan struct{}),
		rand:  rand.New(rand.NewPCG(seed, 0)),
		hosts: make(map[netip.Addr]*Host),
		links: make(map[[2]netip.Addr]*link),
	}
	l.work.Go(l.deliver)
	if err := l.join(&Host{addr: here, lan: l}); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Host adds a host, a namespace of its own.
func (l *LAN) Host(addr netip.Addr) (*Host, error) {
	h := &Host{addr: addr, lan: l}
	if err := onThread(l.home, func() error { return h.create() }); err != nil {
		return nil, fmt.Errorf("lan: host %v: %w", addr, err)
	}
	return h, l.join(h)
}

// join opens the host's tun device and begins to read from it.
func (l *LAN) join(h *Host) error {
	if err := h.Enter(h.openTun); err != nil {
		return fmt.Errorf("lan: host %v: %w", h.addr, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hosts[h.addr] = h
	l.work.Go(func() { l.read(h) })
	return nil
}

// Set changes the weather from one host to another; the other direction keeps its own.
func (l *LAN) Set(from, to netip.Addr, w Weather) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.link(from, to).Weather = w
}

// SetBoth changes the weather in both directions.
func (l *LAN) SetBoth(a, b netip.Addr, w Weather) {
	l.Set(a, b, w)
	l.Set(b, a, w)
}

// Stats returns what has happened to packets so far.
func (l *LAN) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// Close ends the switch. The hosts' processes have to be ended before.
func (l *LAN) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	errs := []error{}
	for _, h := range l.hosts {
		errs = append(errs, h.tun.Close())
		if h.ns != nil {
			errs = append(errs, h.ns.Close())
		}
	}
	l.mu.Unlock()
	close(l.stop)
	l.work.Wait()
	return errors.Join(append(errs, l.home.Close())...)
}

func (l *LAN) link(from, to netip.Addr) *link {
	key := [2]netip.Addr{from, to}
	k := l.links[key]
	if k == nil {
		k = new(link)
		l.links[key] = k
	}
	return k
}

// read takes packets from a host until its device is closed.
func (l *LAN) read(h *Host) {
	b := make([]byte, mtu+64)
	for {
		n, err := h.tun.Read(b)
		if err != nil {
			return
		}
		if to, ok := destination(b[:n]); ok {
			l.forward(h, to, b[:n])
		}
	}
}

// destination is whom an IPv4 packet is for; nothing else is passed on.
func destination(packet []byte) (netip.Addr, bool) {
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(packet[16:20])), true
}

// forward passes a packet on at once or puts it in the queue. The packet is the caller's again when it returns.
func (l *LAN) forward(from *Host, addr netip.Addr, packet []byte) {
	l.mu.Lock()
	to := l.hosts[addr]
	if to == nil || l.closed {
		l.mu.Unlock()
		return
	}
	k := l.link(from.addr, addr)
	now := time.Now()
	if k.fair() && !k.last.After(now) {
		l.stats.Passed++
		l.mu.Unlock()
		to.take(packet)
		return
	}
	defer l.mu.Unlock()
	arrivals := k.pass(l.rand, now, len(packet))
	if len(arrivals) == 0 || len(l.queue) > maxQueued {
		l.stats.Lost++
		return
	}
	l.stats.Doubled += int64(len(arrivals) - 1)
	for _, at := range arrivals {
		l.stats.Late++
		heap.Push(&l.queue, &parcel{at: at, order: l.stats.Late, to: to, packet: append([]byte(nil), packet...)})
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// deliver passes on the packets of the queue when their time comes.
func (l *LAN) deliver() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		l.mu.Lock()
		wait := time.Hour
		var due *parcel
		if len(l.queue) > 0 {
			if wait = time.Until(l.queue[0].at); wait <= 0 {
				due = heap.Pop(&l.queue).(*parcel)
			}
		}
		l.mu.Unlock()
		if due != nil {
			due.to.take(due.packet)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-l.wake:
		case <-l.stop:
			return
		}
	}
}

// parcel is a packet on its way.
type parcel struct {
	at     time.Time
	order  int64 // among those of one time
	to     *Host
	packet []byte
}

// queue is a heap by time.
type queue []*parcel

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].order < q[j].order
	}
	return q[i].at.Before(q[j].at)
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*parcel)) }
func (q *queue) Pop() any {
	old := *q
	p := old[len(old)-1]
	*q = old[:len(old)-1]
	return p
}
