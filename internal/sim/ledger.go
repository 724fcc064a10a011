package sim

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"gopherwood/internal/node"
	"gopherwood/internal/planted"
)

// ledger is a small state machine: registers, sessions, and for each session the number of its last command. What it keeps is sorted, so
// that equal states have equal bytes.
//
//	open     1, session
//	write    2, session, number, register, value, ballast    refused without the session; number must be the last one's successor
//	expire   3, term, session                                obeyed only in an entry of that term
//	close    4, session
//
// Numbers are uvarints.
type ledger struct {
	sim       *simulation
	registers [32]uint64
	sessions  []ledgerSession // ascending by id
	sum       uint64          // digest
}

type ledgerSession struct{ id, n uint64 }

const (
	ledgerOpen = 1 + iota
	ledgerWrite
	ledgerExpire
	ledgerClose
)

var errLedger = errors.New("sim: malformed ledger")

func newLedger(s *simulation) *ledger { return &ledger{sim: s} }

// ledgerCommand is a client's next command.
func ledgerCommand(s *simulation, c *client) []byte {
	r := s.clientRand
	if c.n == 0 {
		c.n++
		return binary.AppendUvarint([]byte{ledgerOpen}, c.session)
	}
	b := []byte{ledgerWrite}
	if r.chance(0.01) {
		b[0] = ledgerClose
		b = binary.AppendUvarint(b, c.session)
		s.clients++
		c.session, c.n = s.clients, 0
		return b
	}
	for _, v := range [...]uint64{c.session, c.n, r.Uint64N(32), r.Uint64()} {
		b = binary.AppendUvarint(b, v)
	}
	c.n++
	return append(b, s.filler()...)
}

func uvarints(b []byte, to ...*uint64) error {
	for _, v := range to {
		n, k := binary.Uvarint(b)
		if k <= 0 {
			return errLedger
		}
		*v, b = n, b[k:]
	}
	return nil
}

func (l *ledger) find(id uint64) (int, bool) {
	return slices.BinarySearchFunc(l.sessions, id, func(s ledgerSession, id uint64) int { return cmp.Compare(s.id, id) })
}

func (l *ledger) apply(c *node.Command, body []byte) outcome {
	var id, n, register, value uint64
	switch body[0] {
	case ledgerOpen:
		if uvarints(body[1:], &id) == nil {
			return l.open(id)
		}
	case ledgerWrite:
		if uvarints(body[1:], &id, &n, &register, &value) == nil {
			return l.write(id, n, register, value)
		}
	case ledgerExpire:
		var term uint64
		if uvarints(body[1:], &term, &id) == nil {
			return l.expire(c, term, id)
		}
	case ledgerClose:
		if uvarints(body[1:], &id) == nil {
			l.end(id)
			return outcome{hash: 4}
		}
	}
	l.sim.fail("the ledger gets a command that it cannot read: %x", body)
	return outcome{}
}

func (l *ledger) open(id uint64) outcome {
	i, ok := l.find(id)
	if ok {
		l.sim.fail("the ledger opens session %d a second time", id)
	}
	l.sessions = slices.Insert(l.sessions, i, ledgerSession{id: id})
	l.sum += mix(id, 0)
	return outcome{hash: 1}
}

func (l *ledger) write(id, n, register, value uint64) outcome {
	i, ok := l.find(id)
	if !ok {
		return outcome{hash: 2, expired: true}
	}
	s := &l.sessions[i]
	if n != s.n+1 {
		l.sim.fail("the ledger gets command %d of session %d after %d", n, id, s.n)
	}
	l.sum += mix(id, n) - mix(id, s.n)
	s.n = n
	r := &l.registers[register%32]
	l.sum += mix(^(register%32), value) - mix(^(register%32), *r)
	old := *r
	*r = value
	return outcome{hash: mix(old, value)}
}

// expire ends a session if its time was up in the present leader's eyes. In a later term another leader may have heard of it.
func (l *ledger) expire(c *node.Command, term, id uint64) outcome {
	if c.Term != term {
		l.sim.stats.LateExpiries++
		if !planted.LateExpiry.On() {
			return outcome{hash: 5}
		}
	}
	if l.end(id) {
		l.sim.expired(term, c.Term)
		return outcome{hash: 6}
	}
	return outcome{hash: 7}
}

// expired is called for every session that an expiry has ended.
func (s *simulation) expired(decided, applied uint64) {
	if decided != applied {
		s.fail("a session was expired in term %d by the leader of term %d", applied, decided)
	}
}

func (l *ledger) end(id uint64) bool {
	i, ok := l.find(id)
	if ok {
		l.sum -= mix(id, l.sessions[i].n)
		l.sessions = slices.Delete(l.sessions, i, i+1)
	}
	return ok
}

func (l *ledger) digest() uint64 { return l.sum }

func (l *ledger) expiry(term uint64, r random) []byte {
	if len(l.sessions) == 0 {
		return nil
	}
	b := binary.AppendUvarint([]byte{ledgerExpire}, term)
	return binary.AppendUvarint(b, l.sessions[r.IntN(len(l.sessions))].id)
}

// ledgerView is a whole picture: the ledger is small.
type ledgerView []byte

func (l *ledger) view() (machineView, error) {
	b := binary.LittleEndian.AppendUint64(nil, l.sum)
	for _, v := range l.registers {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	for _, s := range l.sessions {
		b = binary.LittleEndian.AppendUint64(b, s.id)
		b = binary.LittleEndian.AppendUint64(b, s.n)
	}
	return ledgerView(b), nil
}

func (v ledgerView) writeTo(w io.Writer) error {
	_, err := w.Write(v)
	return err
}

func (v ledgerView) close() {}

func (l *ledger) restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if len(b) < 8+8*len(l.registers) || (len(b)-8-8*len(l.registers))%16 != 0 {
		return errLedger
	}
	next := func() uint64 {
		v := binary.LittleEndian.Uint64(b)
		b = b[8:]
		return v
	}
	l.sum = next()
	for i := range l.registers {
		l.registers[i] = next()
	}
	l.sessions = nil
	for len(b) > 0 {
		l.sessions = append(l.sessions, ledgerSession{id: next(), n: next()})
	}
	return nil
}
