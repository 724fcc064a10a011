package chaos

import (
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gopherwood/e2e/internal/baddisk"
	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/internal/lan"
	"gopherwood/e2e/internal/raw"
)

// bottle is an ensemble on a network of its own, and what was done to it.
type bottle struct {
	*testing.T
	seed  uint64
	e     *ensemble.Ensemble
	lan   *lan.LAN
	d     *director
	hosts []dialer       // of clients
	bulks sync.WaitGroup // of bulk
	round int

	rounds, ops, acked, unanswered, paths, undecided, expired, watchers, events int
}

func address(last int) netip.Addr { return netip.AddrFrom4([4]byte{10, 73, 0, byte(last)}) }

// newBottle starts an ensemble.
func newBottle(t *testing.T, seed uint64, servers int) *bottle {
	t.Helper()
	b := &bottle{T: t, seed: seed}
	var err error
	if b.lan, err = lan.New(seed, address(254)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.lan.Close(); err != nil {
			t.Error(err)
		}
	})
	b.d = &director{
		lan: b.lan, log: t.Logf, bulk: b.bulk,
		disks: make(map[*ensemble.Server]*baddisk.Disk), counts: make(map[Kind]int), stopped: make(map[*ensemble.Server]bool), killed: make(map[*ensemble.Server]bool),
		excused: make(map[*ensemble.Server]time.Time),
	}
	host := func(last int) *lan.Host {
		h, err := b.lan.Host(address(last))
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	o := ensemble.Options{Servers: servers, Furnish: b.furnish}
	for i := range servers {
		h := host(1 + i)
		o.Hosts = append(o.Hosts, h)
		b.d.servers = append(b.d.servers, h.Addr())
	}
	for i := range clientHosts {
		h := host(101 + i)
		b.hosts = append(b.hosts, h)
		b.d.clients = append(b.d.clients, h.Addr())
	}
	b.e = ensemble.New(t, o)
	b.d.e = b.e
	for _, disk := range b.d.disks {
		disk.Settle() // the test's own files, such as myid
	}
	if err := b.e.StartAll(); err != nil {
		t.Fatal(err)
	}
	return b
}

// furnish gives a server a small file system of its own for its data, and puts one in front that fails on demand, where that can be had.
func (b *bottle) furnish(s *ensemble.Server) error {
	if err := os.Mkdir(below(s), 0o755); err != nil {
		return err
	}
	if err := unix.Mount("chaos", below(s), "tmpfs", 0, fmt.Sprintf("size=%d", diskBytes)); err != nil {
		return fmt.Errorf("mount a small file system: %w", err)
	}
	b.Cleanup(func() {
		if err := unix.Unmount(below(s), unix.MNT_DETACH); err != nil {
			b.Error(err)
		}
	})
	disk, err := baddisk.Mount(below(s), s.DataDir(), b.seed<<8+uint64(s.ID))
	if err != nil {
		b.Logf("no faults of disks but full ones: %v", err)
		b.d.disks = nil
		return unix.Mount(below(s), s.DataDir(), "", unix.MS_BIND, "")
	}
	b.Cleanup(func() {
		if err := disk.Close(); err != nil {
			b.Error(err)
		}
	})
	b.d.disks[s] = disk
	return nil
}

// bulk writes much, for as long as a server takes it, so that logs want new segments.
func (b *bottle) bulk() {
	b.bulks.Go(func() {
		conn, err := raw.Dial(b.e.Servers[b.round%len(b.e.Servers)].Addr(), raw.Session{TimeoutMs: 10_000})
		if err != nil {
			return
		}
		defer conn.Close()
		end := time.Now().Add(bulkLimit)
		if err := conn.Net().SetDeadline(end); err != nil {
			return
		}
		data := make([]byte, bulkBytes)
		_, err = conn.Call(raw.Create(nil, 1, "/bulk", nil, raw.Persistent))
		for xid := int32(2); err == nil && time.Now().Before(end); xid++ {
			_, err = conn.Call(raw.Set(nil, xid, "/bulk", data, -1))
		}
	})
}
