package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gopherwood/internal/vfs"
)

const (
	segmentMagic      = 0x31475747 // "GWG1"
	segmentHeaderSize = 32         // in a block of its own
	logSuffix         = ".log"
	spareSuffix       = ".spare"
	tmpSuffix         = ".tmp"
)

// segment is one file of the log. Constant while it is in use, its bytes belong to the Writer; once it is free it belongs to prepare.
type segment struct {
	seq    uint64
	name   string
	size   int64 // a multiple of blockSize
	file   vfs.File
	direct bool
}

// segmentHeader encodes the first block of a segment into zeros.
func segmentHeader(b []byte, id Identity, seq uint64) {
	le := binary.LittleEndian
	le.PutUint32(b, segmentMagic)
	copy(b[8:], id[:])
	le.PutUint64(b[24:], seq)
	le.PutUint32(b[4:], crc32.Checksum(b[8:segmentHeaderSize], castagnoli))
}

// parseSegmentHeader returns what the first block says; ok if it is one.
func parseSegmentHeader(b []byte) (id Identity, seq uint64, ok bool) {
	le := binary.LittleEndian
	if len(b) < segmentHeaderSize || le.Uint32(b) != segmentMagic || le.Uint32(b[4:]) != crc32.Checksum(b[8:segmentHeaderSize], castagnoli) {
		return id, 0, false
	}
	copy(id[:], b[8:])
	return id, le.Uint64(b[24:]), true
}

// segments is the set of segment files, shared by the Log, the Writer and Prepare.
type segments struct {
	fs  vfs.FS
	dir string
	o   Options

	preparing sync.Mutex // held while files are made, recycled or removed; taken before mu

	mu    sync.Mutex
	live  []*segment // by seq; the writer is in the last one
	next  *segment   // prepared; nil if there is none
	free  []*segment // to be recycled or removed
	trash []string   // names in dir to be removed
}

func (s *segments) path(name string) string { return path.Join(s.dir, name) }

func seqName(seq uint64, suffix string) string { return fmt.Sprintf("%016x%s", seq, suffix) }

// parseName returns the number in a name that ends so.
func parseName(name, suffix string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 16, 64)
	return seq, err == nil && seqName(seq, suffix) == name
}

func (s *segments) open(name string, create bool) (vfs.File, bool, error) {
	if s.o.NoDirect {
		if create {
			f, err := s.fs.Create(s.path(name))
			return f, false, err
		}
		f, err := s.fs.Open(s.path(name))
		return f, false, err
	}
	return s.fs.OpenLog(s.path(name), create)
}

// wanted says whether prepare has something to do.
func (s *segments) wanted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next == nil || len(s.free) > maxFree || len(s.trash) > 0
}

// prepare sees to it that there is a next segment of at least minSize bytes, and tidies up.
func (s *segments) prepare(minSize int64) error {
	s.preparing.Lock()
	defer s.preparing.Unlock()
	s.mu.Lock()
	next := s.next
	last := s.live[len(s.live)-1]
	s.mu.Unlock()

	if next != nil && next.size < minSize {
		grown, err := s.grow(next, minSize)
		if err != nil {
			return fmt.Errorf("raftlog: grow segment %d to %d bytes: %w", next.seq, minSize, noSpace(err))
		}
		s.setNext(grown)
	}
	if next == nil {
		size := alignUp(max(minSize, min(2*last.size, s.o.SegmentBytes)))
		made, err := s.make(last.seq+1, size)
		if err != nil {
			return fmt.Errorf("raftlog: prepare segment %d of %d bytes: %w", last.seq+1, size, noSpace(err))
		}
		s.setNext(made)
	}
	if err := s.tidy(); err != nil {
		return fmt.Errorf("raftlog: remove old files: %w", err)
	}
	return nil
}

func (s *segments) setNext(g *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = g
}

// take returns the next segment for the writer, which goes on in it.
func (s *segments) take(minSize int64) (*segment, error) {
	s.mu.Lock()
	ready := s.next != nil && s.next.size >= minSize
	s.mu.Unlock()
	if !ready {
		if err := s.prepare(minSize); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.next
	s.live, s.next = append(s.live, g), nil
	return g, nil
}

// release gives back the segments before seq.
func (s *segments) release(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.live)-1 && s.live[n].seq < seq {
		n++
	}
	s.free = append(s.free, s.live[:n]...)
	s.live = slices.Clone(s.live[n:])
}

// discard has files of the directory removed by the next prepare.
func (s *segments) discard(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trash = append(s.trash, names...)
}

// make gives a segment that is ready for the writer: a recycled file, or a new one.
func (s *segments) make(seq uint64, size int64) (*segment, error) {
	if old, err := s.reusable(size); err != nil {
		return nil, err
	} else if old != nil {
		return s.recycle(old, seq)
	}
	tmp := seqName(seq, tmpSuffix)
	f, direct, err := s.open(tmp, true)
	if err != nil {
		return nil, err
	}
	g := &segment{seq: seq, name: seqName(seq, logSuffix), size: size, file: f, direct: direct}
	err = s.fill(g, 0, size)
	if err == nil {
		err = s.label(g, tmp)
	}
	if err != nil {
		f.Close()
		_ = s.fs.Remove(s.path(tmp)) // what it has of a full disk's space; if it stays, the next Open removes it
		return nil, err
	}
	return g, nil
}

// reusable takes the oldest free segment, which gets a name without a place in the chain, durably. Those that have the wrong size are removed. Always the oldest:
// were a newer one taken first, the older one would be a log that ends too early for what comes after the hole.
func (s *segments) reusable(size int64) (*segment, error) {
	for {
		s.mu.Lock()
		if len(s.free) == 0 {
			s.mu.Unlock()
			return nil, nil
		}
		g := s.free[0]
		s.mu.Unlock()

		if g.size < size || g.size > 2*size {
			if err := errors.Join(g.file.Close(), s.remove(g.name)); err != nil {
				return nil, err
			}
			s.dropFree(1)
			continue
		}
		if spare := seqName(g.seq, spareSuffix); g.name != spare {
			if err := s.fs.Rename(s.path(g.name), s.path(spare)); err != nil {
				return nil, err
			}
			g.name = spare
		}
		if err := s.fs.SyncDir(s.dir); err != nil {
			return nil, err
		}
		s.dropFree(1)
		return g, nil
	}
}

func (s *segments) dropFree(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = slices.Clone(s.free[n:])
}

// recycle gives a spare segment another number. Its blocks are written already, which makes writing to them cheaper than to new ones; what they hold
// names another segment.
func (s *segments) recycle(old *segment, seq uint64) (*segment, error) {
	g := &segment{seq: seq, name: seqName(seq, logSuffix), size: old.size, file: old.file, direct: old.direct}
	if err := s.label(g, old.name); err != nil {
		old.file.Close()
		s.discard(old.name)
		return nil, err
	}
	return g, nil
}

// label writes the header of a file that has another name yet, makes all of it durable and gives it its name.
func (s *segments) label(g *segment, from string) error {
	b := vfs.AlignedBuffer(blockSize)
	segmentHeader(b, s.o.Identity, g.seq)
	if _, err := g.file.WriteAt(b, 0); err != nil {
		return err
	}
	if err := g.file.Sync(); err != nil {
		return err
	}
	if err := s.fs.Rename(s.path(from), s.path(g.name)); err != nil {
		return err
	}
	return s.fs.SyncDir(s.dir)
}

// zeros is what new segments are filled with.
var zeros = sync.OnceValue(func() []byte { return vfs.AlignedBuffer(fillBytes) })

// fill writes zeros to [from, to).
func (s *segments) fill(g *segment, from, to int64) error {
	unsynced := int64(0)
	for from < to {
		b := zeros()
		b = b[:min(int64(len(b)), to-from)]
		if _, err := g.file.WriteAt(b, from); err != nil {
			return err
		}
		from += int64(len(b))
		if unsynced += int64(len(b)); !g.direct && unsynced >= fillSyncBytes {
			if err := g.file.Sync(); err != nil {
				return err
			}
			unsynced = 0
		}
	}
	return nil
}

// grow makes a prepared segment larger.
func (s *segments) grow(g *segment, size int64) (*segment, error) {
	larger := *g
	larger.size = alignUp(size)
	if err := s.fill(&larger, g.size, larger.size); err != nil {
		return nil, err
	}
	return &larger, larger.file.Sync()
}

// tidy removes what nobody needs. The oldest goes first and durably, so that a crash leaves no hole in the numbers.
func (s *segments) tidy() error {
	s.mu.Lock()
	drop := slices.Clone(s.free[:max(0, len(s.free)-maxFree)])
	names := s.trash
	s.trash = nil
	s.mu.Unlock()

	for _, g := range drop {
		if err := errors.Join(g.file.Close(), s.remove(g.name)); err != nil {
			return err
		}
		s.dropFree(1)
	}
	for _, name := range names {
		if err := s.remove(name); err != nil {
			return err
		}
	}
	return nil
}

func (s *segments) remove(name string) error {
	if err := s.fs.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.fs.SyncDir(s.dir)
}

// close closes the files.
func (s *segments) close() error {
	s.preparing.Lock()
	defer s.preparing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, g := range slices.Concat(s.live, s.free) {
		errs = append(errs, g.file.Close())
	}
	if s.next != nil {
		errs = append(errs, s.next.file.Close())
	}
	s.live, s.free, s.next = nil, nil, nil
	return errors.Join(errs...)
}
