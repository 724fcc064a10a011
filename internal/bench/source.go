package bench

import (
	"fmt"
	"math/rand/v2"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// source makes a connection's requests. next appends one to c.out and says which recorder its answer is for; false means
// that there are no more.
type source interface {
	next(c *conn) (slot int, ok bool)
}

// nameDigits is the width of the number at the end of every path, so that a prepared frame can be patched in place.
const nameDigits = 9

// numbered is a prepared frame with a number in it.
type numbered struct {
	frame []byte
	at    int // of the number
}

// newNumbered prepares a request on path followed by a number.
func newNumbered(op zk.OpCode, path string, build func(path string) interface{ Append([]byte) []byte }) numbered {
	full := fmt.Sprintf("%s%0*d", path, nameDigits, 0)
	at := wire.FrameHeaderSize + 8 + 4 + len(path) // length; xid, type; length of the string
	return numbered{frame: template(op, build(full)), at: at}
}

// put appends the frame with number n.
func (t *numbered) put(c *conn, n int) {
	f := c.frame(t.frame)
	for i := t.at + nameDigits - 1; i >= t.at; i-- {
		f[i] = byte('0' + n%10)
		n /= 10
	}
}

func setOf(path string, data []byte) numbered {
	return newNumbered(zk.OpSetData, path, func(p string) interface{ Append([]byte) []byte } {
		return &wire.SetDataRequest{Path: p, Data: data, Version: -1}
	})
}

func getOf(path string) numbered {
	return newNumbered(zk.OpGetData, path, func(p string) interface{ Append([]byte) []byte } {
		return &wire.GetDataRequest{Path: p}
	})
}

func createOf(path string, data []byte) numbered {
	return newNumbered(zk.OpCreate, path, func(p string) interface{ Append([]byte) []byte } {
		return &wire.CreateRequest{Path: p, Data: data, ACL: zk.OpenACL()}
	})
}

func deleteOf(path string) numbered {
	return newNumbered(zk.OpDelete, path, func(p string) interface{ Append([]byte) []byte } {
		return &wire.DeleteRequest{Path: p, Version: -1}
	})
}

// The recorders of a run.
const (
	slotMain  = iota // the operation itself; gets in OpMixed, events in OpWatch
	slotWrite        // sets in OpMixed and OpWatch
	slots
)

// random makes gets and sets of random keys without end.
type random struct {
	get, set numbered
	keys     int
	writes   uint64 // of 1<<32
	setSlot  int
	rng      *rand.PCG
}

func (s *random) next(c *conn) (int, bool) {
	r := s.rng.Uint64()
	n := int((r >> 32) * uint64(s.keys) >> 32)
	if r&(1<<32-1) < s.writes {
		s.set.put(c, n)
		return s.setSlot, true
	}
	s.get.put(c, n)
	return slotMain, true
}

// counted makes requests with the numbers from, from+step, … below to. With to < 0 there is no end.
type counted struct {
	numbered
	n, step, to int
}

func (s *counted) next(c *conn) (int, bool) {
	if s.to >= 0 && s.n >= s.to {
		return 0, false
	}
	s.put(c, s.n)
	s.n += s.step
	return slotMain, true
}
