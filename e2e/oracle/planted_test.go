package oracle_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"

	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/oracle"
	"gopherwood/zk"
)

// An oracle that finds nothing may be blind. So a proxy in front of Gopherwood makes mistakes in what it passes on, one kind at a time, and
// each must be found and shrunk.

// tamper is what the proxy does to a frame from the server: it returns those to pass on. op is that of the request which the frame answers,
// OpNotification for an event. held is its connection's own.
type tamper func(op zk.OpCode, frame []byte, held *[][]byte) [][]byte

// Where fields are in a reply's frame: the header has 16 bytes.
const (
	atErr  = 12
	atBody = 16
)

func word(frame []byte, at int) int32 { return int32(binary.BigEndian.Uint32(frame[at:])) }

func setWord(frame []byte, at int, v int32) { binary.BigEndian.PutUint32(frame[at:], uint32(v)) }

func one(frame []byte) [][]byte { return [][]byte{frame} }

// swap makes one error code of a reply to op into another.
func swap(op zk.OpCode, from, to zk.Code) tamper {
	return func(got zk.OpCode, frame []byte, _ *[][]byte) [][]byte {
		if got == op && word(frame, atErr) == int32(from) {
			setWord(frame, atErr, int32(to))
		}
		return one(frame)
	}
}

// inStat changes the Stat in replies to exists that succeed.
func inStat(change func(stat []byte)) tamper {
	return func(op zk.OpCode, frame []byte, _ *[][]byte) [][]byte {
		if op == zk.OpExists && word(frame, atErr) == 0 {
			change(frame[atBody:])
		}
		return one(frame)
	}
}

// late passes an event on after the reply that it should have preceded.
func late(op zk.OpCode, frame []byte, held *[][]byte) [][]byte {
	if op == zk.OpNotification {
		*held = append(*held, frame)
		return nil
	}
	out := append(one(frame), *held...)
	*held = nil
	return out
}

// swapped exchanges two events that come one after the other.
func swapped(op zk.OpCode, frame []byte, held *[][]byte) [][]byte {
	if op == zk.OpNotification && len(*held) == 0 {
		*held = one(frame)
		return nil
	}
	out := append(*held, frame)
	if op == zk.OpNotification {
		slices.Reverse(out)
	}
	*held = nil
	return out
}

// planted are the mistakes. Offsets within a Stat: version 32, cversion 36, aversion 40, owner 44, pzxid 60.
var planted = map[string]tamper{
	"a wrong cversion": inStat(func(s []byte) {
		if v := word(s, 36); v >= 3 {
			setWord(s, 36, v+1)
		}
	}),
	"a pzxid that does not move": inStat(func(s []byte) { copy(s[60:68], s[0:8]) }),
	"an owner of no one's":       inStat(func(s []byte) { copy(s[44:52], make([]byte, 8)) }),
	"a swapped error code":       swap(zk.OpDelete, zk.ErrNotEmpty, zk.ErrBadVersion),
	"an error code of create":    swap(zk.OpCreate, zk.ErrNoAuth, zk.ErrNoNode),
	"an event after its data":    late,
	"two events exchanged":       swapped,
	"an event twice": func(op zk.OpCode, frame []byte, _ *[][]byte) [][]byte {
		if op == zk.OpNotification {
			return [][]byte{frame, frame}
		}
		return one(frame)
	},
	"an event lost": func(op zk.OpCode, frame []byte, _ *[][]byte) [][]byte {
		if op == zk.OpNotification && word(frame, atBody) == int32(zk.EventNodeDeleted) {
			return nil
		}
		return one(frame)
	},
	"null data as empty": func(op zk.OpCode, frame []byte, _ *[][]byte) [][]byte {
		if op == zk.OpGetData && word(frame, atErr) == 0 && word(frame, atBody) == -1 {
			setWord(frame, atBody, 0)
		}
		return one(frame)
	},
}

// liar is a proxy in front of a server that tampers.
type liar struct {
	t      *testing.T
	target string
	tamper tamper
	pumps  sync.WaitGroup
}

// lie starts a liar; it ends with the test.
func lie(t *testing.T, target string, how tamper) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &liar{t: t, target: target, tamper: how}
	p.pumps.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.pumps.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.pumps.Wait()
	})
	return l.Addr().String()
}

func (p *liar) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		p.t.Error(err)
		return
	}
	defer server.Close()
	var mu sync.Mutex
	ops := map[int32]zk.OpCode{}
	first := true
	p.pumps.Go(func() {
		pump(server, client, func(frame []byte) [][]byte {
			if !first && len(frame) >= 8 {
				mu.Lock()
				ops[word(frame, 0)] = zk.OpCode(word(frame, 4))
				mu.Unlock()
			}
			first = false
			return one(frame)
		})
		if tcp, ok := server.(*net.TCPConn); ok {
			_ = tcp.CloseWrite() // the other direction ends as the server wants
		}
	})
	hello, held := true, [][]byte(nil)
	pump(client, server, func(frame []byte) [][]byte {
		if hello {
			hello = false
			return one(frame)
		}
		op := zk.OpNotification
		if xid := word(frame, 0); xid != zk.XidNotification {
			mu.Lock()
			op = ops[xid]
			mu.Unlock()
		}
		return p.tamper(op, frame, &held)
	})
	if len(held) > 0 { // nobody asked any more
		_, _ = client.Write(bytes.Join(framed(held), nil))
	}
}

// pump passes frames on, as change returns them, until one side ends.
func pump(to io.Writer, from io.Reader, change func(frame []byte) [][]byte) {
	for {
		var length [4]byte
		if _, err := io.ReadFull(from, length[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(length[:]))
		if _, err := io.ReadFull(from, frame); err != nil {
			return
		}
		if _, err := to.Write(bytes.Join(framed(change(frame)), nil)); err != nil {
			return
		}
	}
}

func framed(frames [][]byte) [][]byte {
	out := make([][]byte, len(frames))
	for i, f := range frames {
		out[i] = append(binary.BigEndian.AppendUint32(nil, uint32(len(f))), f...)
	}
	return out
}

// TestPlanted wants every mistake found, within a few seeds, and shrunk to a script that a person can read.
func TestPlanted(t *testing.T) {
	need(t)
	const mostSeeds, mostSteps = 50, 12
	zookeeper := start(t, ensemble.ZooKeeper, 1)
	honest := start(t, ensemble.Gopherwood, 1)
	for _, name := range slices.Sorted(maps.Keys(planted)) {
		t.Run(name, func(t *testing.T) {
			liar, err := oracle.NewTarget(lie(t, honest.Addrs[0], planted[name]))
			if err != nil {
				t.Fatal(err)
			}
			for seed := uint64(1); seed <= mostSeeds; seed++ {
				steps := oracle.Draw(seed, 300)
				diff, err := compare(zookeeper, liar, steps)
				if err != nil {
					t.Fatal(err)
				}
				if diff == "" {
					continue
				}
				short := shrink(zookeeper, liar, steps)
				last, err := compare(zookeeper, liar, short)
				t.Logf("found with seed %d, shrunk to %d steps", seed, len(short))
				if err != nil || last == "" || len(short) > mostSteps {
					t.Errorf("not shrunk well (%v):\n%s\n%s", err, oracle.Format(short), last)
				}
				return
			}
			t.Errorf("not found in %d seeds", mostSeeds)
		})
	}
}
