package node

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"gopherwood/internal/peer"
)

// ServerOf is the server id in a raft id or an origin.
func ServerOf(id uint64) uint16 { return uint16(id >> 48) }

// MakeID joins a server id with 48 bits that tell its incarnations, or its starts, apart.
func MakeID(server uint16, low uint64) uint64 { return uint64(server)<<48 | low&(1<<48-1) }

// originState is how far one server's stream has been applied.
type originState struct {
	origin uint64
	last   uint64 // number of its last applied command
}

// State is what every replica knows beside the state machine: it changes by applied entries only and is the first part of
// each snapshot.
type State struct {
	timeMs  int64         // stamp of the last applied batch
	origins []originState // one per server, ascending by server id
	members []peer.Member // ascending by raft id
}

// TimeMs is the time stamp of the last applied batch, milliseconds since the Unix epoch.
func (s *State) TimeMs() int64 { return s.timeMs }

// Members are the members, ascending by raft id; the slice is not to be changed.
func (s *State) Members() []peer.Member { return s.members }

func (s *State) findOrigin(origin uint64) (int, bool) {
	return slices.BinarySearchFunc(s.origins, ServerOf(origin), func(o originState, server uint16) int {
		return cmp.Compare(ServerOf(o.origin), server)
	})
}

// next is the number that has to follow in the stream, and false when a later start of the same server is already known,
// whose earlier streams are over.
func (s *State) next(origin uint64) (uint64, bool) {
	i, ok := s.findOrigin(origin)
	switch {
	case !ok || s.origins[i].origin < origin:
		return 1, true
	case s.origins[i].origin > origin:
		return 0, false
	default:
		return s.origins[i].last + 1, true
	}
}

// advance records that the stream's command number last has been applied. A new stream ends the server's earlier one.
func (s *State) advance(origin, last uint64) {
	i, ok := s.findOrigin(origin)
	if !ok {
		s.origins = slices.Insert(s.origins, i, originState{})
	}
	s.origins[i] = originState{origin: origin, last: last}
}

// originOf is the newest stream of the server that is on record, 0 for none.
func (s *State) originOf(server uint16) uint64 {
	if i, ok := s.findOrigin(uint64(server) << 48); ok {
		return s.origins[i].origin
	}
	return 0
}

// last is how far the stream has been applied; 0 for an unknown one.
func (s *State) last(origin uint64) uint64 {
	if i, ok := s.findOrigin(origin); ok && s.origins[i].origin == origin {
		return s.origins[i].last
	}
	return 0
}

func (s *State) findMember(raftID uint64) (int, bool) {
	return slices.BinarySearchFunc(s.members, raftID, func(m peer.Member, id uint64) int { return cmp.Compare(m.RaftID, id) })
}

func (s *State) member(raftID uint64) (peer.Member, bool) {
	if i, ok := s.findMember(raftID); ok {
		return s.members[i], true
	}
	return peer.Member{RaftID: raftID, ServerID: ServerOf(raftID)}, false
}

func (s *State) setMember(m peer.Member) {
	i, ok := s.findMember(m.RaftID)
	if !ok {
		s.members = slices.Insert(s.members, i, peer.Member{})
	}
	s.members[i] = m
}

func (s *State) removeMember(raftID uint64) {
	if i, ok := s.findMember(raftID); ok {
		s.members = slices.Delete(s.members, i, i+1)
	}
}

// stateFormat and the layout: byte format, int64 time, uvarint count of origins, each (uint64 origin, uvarint last), uvarint
// count of members, each as appendMember writes it; before all a uint32 with the length of what follows.
const stateFormat = 1

var errState = errors.New("node: malformed replica state in a snapshot")

func (s *State) append(b []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, stateFormat)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.timeMs))
	b = binary.AppendUvarint(b, uint64(len(s.origins)))
	for _, o := range s.origins {
		b = binary.LittleEndian.AppendUint64(b, o.origin)
		b = binary.AppendUvarint(b, o.last)
	}
	b = binary.AppendUvarint(b, uint64(len(s.members)))
	for _, m := range s.members {
		b = appendMember(b, m)
	}
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// readState takes the state off the front of a snapshot's payload.
func readState(r io.Reader) (*State, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, fmt.Errorf("node: read replica state: %w", err)
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n < 9 || n > 1<<20 {
		return nil, errState
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("node: read replica state: %w", err)
	}
	if b[0] != stateFormat {
		return nil, fmt.Errorf("node: replica state format %d is unknown to this version", b[0])
	}
	d := decoder{b: b[1:]}
	s := &State{timeMs: int64(d.uint64())}
	for range d.count(9) {
		s.origins = append(s.origins, originState{origin: d.uint64(), last: d.uvarint()})
	}
	for range d.count(4) {
		s.members = append(s.members, d.member())
	}
	if d.bad || len(d.b) != 0 {
		return nil, errState
	}
	return s, nil
}

// ReadState takes the replica's part off the front of a snapshot's payload; what follows is the state machine's.
func ReadState(r io.Reader) (*State, error) { return readState(r) }

// Refound makes a lone voter the only member, as the founder of another ensemble with the same state, and returns the replica's part of a
// snapshot that says so.
func (s *State) Refound(raftID uint64) []byte {
	s.members = nil
	s.setMember(peer.Member{RaftID: raftID, ServerID: ServerOf(raftID)})
	return s.append(nil)
}

// The kinds of members, as bits.
const (
	kindLearner  = 1
	kindObserver = 2
)

func appendMember(b []byte, m peer.Member) []byte {
	b = binary.LittleEndian.AppendUint64(b, m.RaftID)
	kind := byte(0)
	if m.Learner {
		kind |= kindLearner
	}
	if m.Observer {
		kind |= kindObserver
	}
	b = append(b, kind)
	for _, s := range []string{m.PeerAddr, m.ClientAddr} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// decodeMembers reads the context of a conf change: the members that it adds or changes, one after the other.
func decodeMembers(b []byte) ([]peer.Member, error) {
	d := decoder{b: b}
	var members []peer.Member
	for len(d.b) > 0 && !d.bad {
		members = append(members, d.member())
	}
	if d.bad {
		return nil, errState
	}
	return members, nil
}

// decoder reads little things; after the first mistake everything is zero and bad is set.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	t := d.b[:n]
	d.b = d.b[n:]
	return t
}

func (d *decoder) uint64() uint64 {
	if t := d.take(8); t != nil {
		return binary.LittleEndian.Uint64(t)
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, k := binary.Uvarint(d.b)
	if k <= 0 {
		d.bad = true
		return 0
	}
	d.take(uint64(k))
	return v
}

// count reads a count of things of at least size bytes each.
func (d *decoder) count(size uint64) int {
	n := d.uvarint()
	if n > uint64(len(d.b))/size {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) member() peer.Member {
	m := peer.Member{RaftID: d.uint64()}
	m.ServerID = ServerOf(m.RaftID)
	if t := d.take(1); t != nil {
		m.Learner, m.Observer = t[0]&kindLearner != 0, t[0]&kindObserver != 0
		d.bad = d.bad || t[0]&^(kindLearner|kindObserver) != 0
	}
	m.PeerAddr = string(d.take(d.uvarint()))
	m.ClientAddr = string(d.take(d.uvarint()))
	return m
}
