package peer

import (
	"io"
	"log/slog"
	"syscall"
	"testing"
	"time"
)

// echo is a Handler that answers every message with the same one, for as many as it has left to say.
type echo struct {
	t     *Transport
	peer  uint16
	reply *Message
	left  int
	done  chan struct{}
}

func (e *echo) Deliver(*Message) {
	if e.left--; e.left < 0 {
		return
	}
	e.t.Send(e.peer, e.reply)
	if e.left == 0 {
		close(e.done)
	}
}
func (*echo) PeerUp(uint16, uint64)                    {}
func (*echo) PeerDown(uint16, uint64)                  {}
func (*echo) Snapshot(SnapshotHeader, io.Reader) error { return nil }

// BenchmarkPingPong sends a message to and fro between two transports in this process, with so many on their way at a time.
// cpu-ns/msg is the process's CPU for one message, both ends together: encoding, two system calls, two wake-ups, decoding.
func BenchmarkPingPong(b *testing.B) {
	quiet := slog.New(slog.DiscardHandler)
	for _, window := range []struct {
		name string
		n    int
	}{{"1", 1}, {"16", 16}, {"256", 256}} {
		for _, kind := range []string{"AppResp", "App12k"} {
			b.Run(kind+"/"+window.name, func(b *testing.B) {
				m := benchMessages()[kind]
				ends := [2]*echo{{peer: 2, reply: m}, {peer: 1, reply: m}}
				var members [2]*member
				for i := range ends {
					members[i] = start(b, uint16(i+1), func(c *Config, _ *recorder) { c.Handler, c.Logger = ends[i], quiet })
					ends[i].t = members[i].Transport
				}
				link(b, members[:]...)
				rounds := max(b.N/2, window.n+1)
				ends[0].left, ends[1].left = rounds, rounds+window.n
				ends[0].done, ends[1].done = make(chan struct{}), make(chan struct{})
				b.ReportAllocs()
				b.ResetTimer()
				cpu := cpuTime(b)
				for range window.n {
					members[0].Send(2, m)
				}
				<-ends[0].done
				b.ReportMetric(float64(cpuTime(b)-cpu)/float64(2*rounds), "cpu-ns/msg")
				b.StopTimer()
				for _, m := range members {
					m.Close()
				}
			})
		}
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
