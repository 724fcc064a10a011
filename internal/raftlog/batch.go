package raftlog

import (
	"encoding/binary"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Identity says whose log it is: cluster, server and incarnation. It goes into every checksum, so that a batch of another log is not a batch of this one.
type Identity [16]byte

func (id Identity) seed() uint32 { return crc32.Checksum(id[:], castagnoli) }

const (
	batchMagic      = 0x31425747 // "GWB1"
	batchHeaderSize = 96
)

// batchHeader is what precedes the records of a batch.
type batchHeader struct {
	headerCRC  uint32 // of the bytes after it, begun with the identity's
	payloadCRC uint32
	payloadLen uint32
	prevCRC    uint32 // headerCRC of the batch before
	epoch      uint32 // how many times the log had been opened
	segment    uint64 // number of the segment it is in
	seq        uint64 // number of the batch: 1, 2, 3 …
	durable    uint64 // the newest batch known to be durable when this one was written
	hard       hardState
	prev       position // the last of the entries before this batch that it does not replace
}

// hardState is raft's, by value.
type hardState struct{ term, vote, commit uint64 }

// position is an entry's index and term.
type position struct{ index, term uint64 }

// put encodes h into b and sets its headerCRC.
func (h *batchHeader) put(b []byte, seed uint32) {
	le := binary.LittleEndian
	le.PutUint32(b, batchMagic)
	le.PutUint32(b[8:], h.payloadCRC)
	le.PutUint32(b[12:], h.payloadLen)
	le.PutUint32(b[16:], h.prevCRC)
	le.PutUint32(b[20:], h.epoch)
	le.PutUint64(b[24:], h.segment)
	le.PutUint64(b[32:], h.seq)
	le.PutUint64(b[40:], h.durable)
	le.PutUint64(b[48:], h.hard.term)
	le.PutUint64(b[56:], h.hard.vote)
	le.PutUint64(b[64:], h.hard.commit)
	le.PutUint64(b[72:], h.prev.index)
	le.PutUint64(b[80:], h.prev.term)
	le.PutUint64(b[88:], 0)
	h.headerCRC = crc32.Update(seed, castagnoli, b[8:batchHeaderSize])
	le.PutUint32(b[4:], h.headerCRC)
}

// parse decodes a header and says whether it is one of this log. The payload is not looked at.
func (h *batchHeader) parse(b []byte, seed uint32) bool {
	le := binary.LittleEndian
	if len(b) < batchHeaderSize || le.Uint32(b) != batchMagic {
		return false
	}
	h.headerCRC = le.Uint32(b[4:])
	if crc32.Update(seed, castagnoli, b[8:batchHeaderSize]) != h.headerCRC {
		return false
	}
	h.payloadCRC = le.Uint32(b[8:])
	h.payloadLen = le.Uint32(b[12:])
	h.prevCRC = le.Uint32(b[16:])
	h.epoch = le.Uint32(b[20:])
	h.segment = le.Uint64(b[24:])
	h.seq = le.Uint64(b[32:])
	h.durable = le.Uint64(b[40:])
	h.hard = hardState{le.Uint64(b[48:]), le.Uint64(b[56:]), le.Uint64(b[64:])}
	h.prev = position{le.Uint64(b[72:]), le.Uint64(b[80:])}
	return true
}

// size is the length of the batch on disk.
func (h *batchHeader) size() int64 { return alignUp(batchHeaderSize + int64(h.payloadLen)) }

func alignUp(n int64) int64 { return (n + blockSize - 1) &^ (blockSize - 1) }
