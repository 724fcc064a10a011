package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"gopherwood/internal/vfs"
)

const (
	watermarkName  = "watermark"
	watermarkMagic = 0x31575747 // "GWW1"
	watermarkSize  = 40         // of a slot, in a block of its own
)

// watermark is the file that says up to which batch the log is known to be durable. Its two slots are written in turns, so that a torn write
// leaves the one before.
type watermark struct {
	segs *segments
	seed uint32

	mu      sync.Mutex
	file    vfs.File
	direct  bool
	buf     []byte
	counter uint64 // of writes; the slot is counter%2
	seq     uint64
	epoch   uint32
	clean   bool
	err     error
}

func (m *watermark) put(b []byte) {
	clear(b)
	le := binary.LittleEndian
	le.PutUint32(b, watermarkMagic)
	le.PutUint64(b[8:], m.counter)
	le.PutUint64(b[16:], m.seq)
	le.PutUint32(b[24:], m.epoch)
	if m.clean {
		b[28] = 1
	}
	le.PutUint32(b[4:], crc32.Update(m.seed, castagnoli, b[8:watermarkSize]))
}

// parse takes a slot's contents if it is whole and newer.
func (m *watermark) parse(b []byte) (ok bool) {
	le := binary.LittleEndian
	if le.Uint32(b) != watermarkMagic || le.Uint32(b[4:]) != crc32.Update(m.seed, castagnoli, b[8:watermarkSize]) {
		return false
	}
	if counter := le.Uint64(b[8:]); counter >= m.counter {
		m.counter, m.seq, m.epoch, m.clean = counter, le.Uint64(b[16:]), le.Uint32(b[24:]), b[28] == 1
	}
	return true
}

// openWatermark reads the file.
func openWatermark(segs *segments, seed uint32) (*watermark, error) {
	m := &watermark{segs: segs, seed: seed, buf: vfs.AlignedBuffer(2 * blockSize)}
	f, direct, err := segs.open(watermarkName, false)
	if err != nil {
		return nil, err
	}
	m.file, m.direct = f, direct
	if _, err := f.ReadAt(m.buf, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, f.Close())
	}
	first, second := m.parse(m.buf), m.parse(m.buf[blockSize:])
	if !first && !second {
		f.Close()
		return nil, &CorruptError{File: segs.path(watermarkName), Reason: "neither slot can be read"}
	}
	return m, nil
}

// makeWatermark makes the file of a new log.
func makeWatermark(segs *segments, seed uint32) (*watermark, error) {
	m := &watermark{segs: segs, seed: seed, buf: vfs.AlignedBuffer(2 * blockSize)}
	f, _, err := segs.open(watermarkName+tmpSuffix, true)
	if err != nil {
		return nil, err
	}
	m.put(m.buf[:blockSize])
	m.put(m.buf[blockSize:])
	_, err = f.WriteAt(m.buf, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err := segs.fs.Rename(segs.path(watermarkName+tmpSuffix), segs.path(watermarkName)); err != nil {
		return nil, err
	}
	if err := segs.fs.SyncDir(segs.dir); err != nil {
		return nil, err
	}
	return openWatermark(segs, seed)
}

// begin writes that the log is open again, for the epoch-th time.
func (m *watermark) begin(seq uint64, epoch uint32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch = epoch
	return m.writeLocked(seq, false)
}

// write writes the next slot, unless it says nothing new.
func (m *watermark) write(seq uint64, clean bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil && seq == m.seq && clean == m.clean {
		return nil
	}
	return m.writeLocked(seq, clean)
}

func (m *watermark) writeLocked(seq uint64, clean bool) error {
	if m.err != nil {
		return m.err
	}
	m.counter++
	m.seq, m.clean = seq, clean
	m.put(m.buf[:blockSize])
	_, err := m.file.WriteAt(m.buf[:blockSize], int64(m.counter%2)*blockSize)
	if err == nil && !m.direct {
		err = m.file.Sync()
	}
	if err != nil {
		m.err = fmt.Errorf("raftlog: write watermark: %w", err)
	}
	return m.err
}

func (m *watermark) close() error {
	if m == nil || m.file == nil {
		return nil
	}
	return m.file.Close()
}
