package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"time"

	"gopherwood/internal/certs"
)

// A greeting opens a connection in each direction: the dialling side's hello, then the other's answer.
//
//	| magic 8 | version 2 | length 2 | body … | CRC32C of all before, 4 |
//
// This outline never changes, so that any two versions can at least tell each other that they do not fit.
const (
	greetingMagic       = "gphrpeer"
	greetingVersion     = 1
	greetingHeaderBytes = len(greetingMagic) + 4
	maxGreetingBytes    = 2048
	helloBytes          = 1 + 2 + 2 + 8 + 8
)

// purpose says what a connection is for.
type purpose uint8

const (
	purposeMessages purpose = 1
	purposeSnapshot purpose = 2
)

func (p purpose) String() string {
	switch p {
	case purposeMessages:
		return "messages"
	case purposeSnapshot:
		return "snapshot"
	}
	return fmt.Sprintf("purpose %d", uint8(p))
}

// hello is what the dialling side says first.
type hello struct {
	purpose  purpose
	from, to uint16 // server ids
	identity
}

// identity is what a server is besides its server id.
type identity struct {
	raftID, clusterID uint64 // 0 while unknown
}

// fits says whether two servers may be of one cluster.
func (i identity) fits(other identity) bool {
	return i.clusterID == 0 || other.clusterID == 0 || i.clusterID == other.clusterID
}

// Refusal is why a server does not take a connection. Its numbers are on the wire.
type Refusal uint8

// The refusals.
const (
	RefusedVersion  Refusal = 1 // the format version is another
	RefusedServer   Refusal = 2 // the address belongs to another server id than the one that was dialled
	RefusedCluster  Refusal = 3 // the servers are of different clusters
	RefusedIdentity Refusal = 4 // the dialling side's ids contradict each other or are the other side's own
	RefusedPurpose  Refusal = 5 // an unknown purpose
	RefusedBusy     Refusal = 6 // as many snapshots as allowed are arriving
)

// RefusedError is the other side's answer to a handshake that did not fit.
type RefusedError struct {
	Refusal Refusal
	Reason  string // for people
}

// Error is the reason in words.
func (e *RefusedError) Error() string { return "peer: refused: " + e.Reason }

// errNotPeer says that what connected does not speak this protocol at all.
var errNotPeer = errors.New("peer: not a Gopherwood peer")

func appendGreeting(body []byte) []byte {
	b := append(make([]byte, 0, greetingHeaderBytes+len(body)+4), greetingMagic...)
	b = binary.LittleEndian.AppendUint16(b, greetingVersion)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(body)))
	b = append(b, body...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// readGreeting reads no further than the greeting's last byte.
func readGreeting(r io.Reader) (version uint16, body []byte, err error) {
	var header [greetingHeaderBytes]byte
	if _, err := io.ReadFull(r, header[:len(greetingMagic)]); err != nil {
		return 0, nil, err
	}
	if string(header[:len(greetingMagic)]) != greetingMagic {
		if certs.IsTLS(header[:]) {
			return 0, nil, fmt.Errorf("%w: it speaks TLS, which this server does not (sslQuorum, portUnification)", errNotPeer)
		}
		return 0, nil, fmt.Errorf("%w: it begins with %q", errNotPeer, header[:len(greetingMagic)])
	}
	rest := header[len(greetingMagic):]
	if _, err := io.ReadFull(r, rest); err != nil {
		return 0, nil, err
	}
	version = binary.LittleEndian.Uint16(rest)
	length := int(binary.LittleEndian.Uint16(rest[2:]))
	if length > maxGreetingBytes {
		return 0, nil, fmt.Errorf("%w: greeting of %d bytes", errNotPeer, length)
	}
	body = make([]byte, length+4)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, err
	}
	sum := crc32.Update(crc32.Checksum(header[:], castagnoli), castagnoli, body[:length])
	if binary.LittleEndian.Uint32(body[length:]) != sum {
		return 0, nil, fmt.Errorf("%w: in the greeting", errChecksum)
	}
	return version, body[:length], nil
}

func appendHello(h hello) []byte {
	b := append(make([]byte, 0, helloBytes), uint8(h.purpose))
	b = binary.LittleEndian.AppendUint16(b, h.from)
	b = binary.LittleEndian.AppendUint16(b, h.to)
	b = binary.LittleEndian.AppendUint64(b, h.raftID)
	b = binary.LittleEndian.AppendUint64(b, h.clusterID)
	return appendGreeting(b)
}

// readHello reads the dialling side's hello. A *RefusedError is one to answer with.
func readHello(r io.Reader) (h hello, err error) {
	version, body, err := readGreeting(r)
	if err != nil {
		return h, err
	}
	if version != greetingVersion {
		reason := fmt.Sprintf("peer format version %d; this server speaks %d", version, greetingVersion)
		return h, &RefusedError{Refusal: RefusedVersion, Reason: reason}
	}
	d := decoder{b: body}
	h.purpose, h.from, h.to = purpose(d.uint8()), d.uint16(), d.uint16()
	h.raftID, h.clusterID = d.uint64(), d.uint64()
	return h, d.finish()
}

// check says why a server, which is server and own, does not take a connection that begins with h; nil if it does.
func (h hello) check(server uint16, own identity) *RefusedError {
	refuse := func(r Refusal, format string, args ...any) *RefusedError {
		return &RefusedError{Refusal: r, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case h.purpose != purposeMessages && h.purpose != purposeSnapshot:
		return refuse(RefusedPurpose, "unknown %v", h.purpose)
	case h.to != server:
		return refuse(RefusedServer, "this is server %d, not %d: the address of server %d is wrong", server, h.to, h.to)
	case h.from == 0 || h.raftID != 0 && ServerID(h.raftID) != h.from:
		return refuse(RefusedIdentity, "raft id %x is not of server %d", h.raftID, h.from)
	case h.from == server:
		return refuse(RefusedIdentity, "this is server %d too: two servers have the same id", server)
	case !own.fits(h.identity):
		return refuse(RefusedCluster, "this server is of cluster %x, server %d of cluster %x", own.clusterID, h.from, h.clusterID)
	}
	return nil
}

// appendAnswer is the accepting side's greeting; refused is nil when it accepts.
func appendAnswer(refused *RefusedError) []byte {
	if refused == nil {
		return appendGreeting([]byte{0, 0})
	}
	reason := refused.Reason
	if len(reason) > maxReasonBytes {
		reason = reason[:maxReasonBytes]
	}
	return appendGreeting(appendString([]byte{uint8(refused.Refusal)}, reason))
}

// readAnswer returns nil if the other side accepts, a *RefusedError if it does not.
func readAnswer(r io.Reader) error {
	version, body, err := readGreeting(r)
	if err != nil {
		return err
	}
	if version != greetingVersion {
		reason := fmt.Sprintf("it speaks peer format version %d; this server speaks %d", version, greetingVersion)
		return &RefusedError{Refusal: RefusedVersion, Reason: reason}
	}
	d := decoder{b: body}
	refusal, reason := Refusal(d.uint8()), d.string(maxReasonBytes)
	if err := d.finish(); err != nil {
		return err
	}
	if refusal != 0 {
		return &RefusedError{Refusal: refusal, Reason: reason}
	}
	return nil
}

// greet does the dialling side's handshake, within timeout.
func greet(conn net.Conn, h hello, timeout time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := conn.Write(appendHello(h)); err != nil {
		return err
	}
	if err := readAnswer(conn); err != nil {
		if err == io.EOF {
			err = fmt.Errorf("peer: closed without an answer: %w", io.ErrUnexpectedEOF)
		}
		return explainAlert(err)
	}
	return conn.SetDeadline(time.Time{})
}
