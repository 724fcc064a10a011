// Package journal is the shared journal of fsmaster's --ha=zookeeper: a file in a directory that all masters see, which the active one appends to and
// the others tail.
//
//	<dir>/journal      frames: uint32 magic, uint32 length, uint32 CRC-32C, bytes of a core.Record
//	<dir>/fence        the epoch of the last master that took over, as text; with fencing only
//	<dir>/checkpoint   a line of JSON (where in the journal it is), then a core.View
//
// # Fencing
//
// Nothing in a lock service keeps a master that was paused from writing when it wakes up: it has to be kept out where it writes. Whoever takes over with
// fencing (1) writes its epoch, higher than any before, to the fence, (2) appends a record that begins the epoch, and (3) reads everything up to
// that. A writer looks at the fence after it has synced a batch and before it tells anybody: if the epoch there is still its own, the next master has not come to (1), and so
// will read the batch in (3). If not, it tells nobody and gives up. Readers ignore what an earlier epoch has written behind a later epoch's beginning.
//
// It needs a file system on which all masters see each other's writes at once; that of one machine is one. Without fencing none of this is done, and
// two masters can write: examples/fsmaster/splitbrain shows it.
package journal

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gopherwood/examples/fsmaster/core"
)

const (
	magic     = 0x4a4d5346
	frameHead = 12
	// MaxRecordBytes bounds a record.
	MaxRecordBytes = 4 << 20
)

// Begin is the kind of the record that begins an epoch; Seq is 0.
const Begin = core.Begin

// ErrFenced says that another master has taken over.
var ErrFenced = errors.New("journal: another master has taken over; what was written last may not count")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Writer appends. One goroutine at a time.
type Writer struct {
	dir   string
	f     *os.File
	epoch uint64
	fence bool
	buf   []byte
	one   []byte // a record
}

// OpenWriter opens the journal for a master that has been elected as number epoch, and with fencing keeps all earlier ones out.
func OpenWriter(dir string, epoch uint64, fencing bool) (*Writer, error) {
	f, err := os.OpenFile(filepath.Join(dir, "journal"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	w := &Writer{dir: dir, f: f, epoch: epoch, fence: fencing}
	if fencing {
		if err := w.takeOver(); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return w, nil
}

func (w *Writer) takeOver() error {
	have, err := readFence(w.dir)
	if err != nil {
		return err
	}
	if have >= w.epoch {
		return fmt.Errorf("%w: the fence is at epoch %d, this is %d", ErrFenced, have, w.epoch)
	}
	if err := replace(filepath.Join(w.dir, "fence"), func(f io.Writer) error {
		_, err := fmt.Fprintln(f, w.epoch)
		return err
	}); err != nil {
		return err
	}
	return w.Append([]core.Record{{Epoch: w.epoch, Op: core.Op{Kind: Begin}}})
}

func readFence(dir string) (uint64, error) {
	b, err := os.ReadFile(filepath.Join(dir, "fence"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("journal: %w", err)
	}
	epoch, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("journal: the fence in %s is damaged: %w", dir, err)
	}
	return epoch, nil
}

// Append writes records with one write and makes them durable. After ErrFenced, and after any other error, nobody may be told of them.
func (w *Writer) Append(records []core.Record) error {
	w.buf = w.buf[:0]
	for i := range records {
		b := records[i].Append(w.one[:0])
		w.one = b
		if len(b) > MaxRecordBytes {
			return fmt.Errorf("journal: record %d has %d bytes, at most %d", records[i].Seq, len(b), MaxRecordBytes)
		}
		for _, v := range [...]uint32{magic, uint32(len(b)), crc32.Checksum(b, castagnoli)} {
			w.buf = binary.LittleEndian.AppendUint32(w.buf, v)
		}
		w.buf = append(w.buf, b...)
	}
	if _, err := w.f.Write(w.buf); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := w.f.Sync(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if w.fence {
		now, err := readFence(w.dir)
		if err != nil {
			return err
		}
		if now != w.epoch {
			return ErrFenced
		}
	}
	return nil
}

// Close closes the file.
func (w *Writer) Close() error { return w.f.Close() }

// Reader tails a journal. One goroutine at a time.
type Reader struct {
	f       *os.File
	r       *bufio.Reader
	off     int64 // of the next frame
	epoch   uint64
	fencing bool
	// Ignored counts the records of earlier epochs that came too late.
	Ignored int
}

// OpenReader opens a journal, which is made if it is not there, at a place that Offset has told, 0 for the beginning. epoch is Epoch's at that place.
func OpenReader(dir string, offset int64, epoch uint64, fencing bool) (*Reader, error) {
	f, err := os.OpenFile(filepath.Join(dir, "journal"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	r := &Reader{f: f, epoch: epoch, fencing: fencing}
	r.seek(offset)
	return r, nil
}

// Offset is where the next record begins, or will begin. Epoch is the present one there.
func (r *Reader) Offset() int64 { return r.off }

// Epoch is the last epoch that has begun before Offset.
func (r *Reader) Epoch() uint64 { return r.epoch }

func (r *Reader) seek(off int64) {
	r.off = off
	r.r = bufio.NewReaderSize(io.NewSectionReader(r.f, off, 1<<62), 1<<20)
}

// Next returns the next record that counts; io.EOF if there is none yet.
func (r *Reader) Next() (rec core.Record, err error) {
	for {
		rec = core.Record{}
		n, err := r.frame(&rec)
		switch {
		case err == io.EOF:
			r.seek(r.off) // what was buffered may be half a frame
			return rec, io.EOF
		case err != nil:
			return rec, err
		}
		r.off += n
		switch {
		case rec.Op.Kind == Begin:
			r.epoch = max(r.epoch, rec.Epoch)
			return rec, nil
		case r.fencing && rec.Epoch < r.epoch:
			r.Ignored++
		default:
			return rec, nil
		}
	}
}

// frame reads a frame and returns its size. What a crash left of one is passed over once a whole one follows.
func (r *Reader) frame(rec *core.Record) (int64, error) {
	for skipped := int64(0); ; skipped++ {
		head, err := r.r.Peek(frameHead)
		if err != nil {
			return 0, io.EOF
		}
		size := int(binary.LittleEndian.Uint32(head[4:]))
		if binary.LittleEndian.Uint32(head) == magic && size <= MaxRecordBytes {
			sum := binary.LittleEndian.Uint32(head[8:])
			body, err := r.body(skipped, size)
			if err != nil {
				return 0, err
			}
			if body != nil && crc32.Checksum(body, castagnoli) == sum {
				if err := rec.Decode(body); err != nil {
					return 0, fmt.Errorf("journal: the record at %d can't be read: %w", r.off+skipped, err)
				}
				if _, err := r.r.Discard(min(frameHead+size, r.r.Buffered())); err != nil {
					return 0, fmt.Errorf("journal: %w", err)
				}
				if frameHead+size > r.r.Size() {
					r.seek(r.off + skipped + int64(frameHead+size))
					r.off -= skipped + int64(frameHead+size) // Next adds it
				}
				return skipped + int64(frameHead+size), nil
			}
		}
		if _, err := r.r.Discard(1); err != nil {
			return 0, io.EOF
		}
	}
}

// body is a frame's, without moving on; io.EOF if it is not all there.
func (r *Reader) body(skipped int64, size int) ([]byte, error) {
	if frameHead+size <= r.r.Size() {
		b, err := r.r.Peek(frameHead + size)
		if err != nil {
			return nil, io.EOF
		}
		return b[frameHead:], nil
	}
	b := make([]byte, size)
	if _, err := r.f.ReadAt(b, r.off+skipped+frameHead); err != nil {
		return nil, io.EOF
	}
	return b, nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.f.Close() }

// replace writes a file under another name, and renames it when it is durable.
func replace(name string, write func(w io.Writer) error) error {
	f, err := os.Create(name + ".tmp")
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// place is where in the journal a checkpoint is.
type place struct {
	Offset int64  `json:"offset"`
	Seq    uint64 `json:"seq"`
	Epoch  uint64 `json:"epoch"`
}

// WriteCheckpoint writes what the journal comes to at a place, so that the next master need not begin at the beginning.
func WriteCheckpoint(dir string, v *core.View, offset int64, seq, epoch uint64) error {
	return replace(filepath.Join(dir, "checkpoint"), func(w io.Writer) error {
		if err := json.NewEncoder(w).Encode(place{offset, seq, epoch}); err != nil {
			return err
		}
		_, err := v.WriteTo(w)
		return err
	})
}

// Load reads the checkpoint, if there is one, and opens the journal behind it.
func Load(dir string, fencing bool) (state *core.FS, seq uint64, r *Reader, err error) {
	state = core.New()
	var at place
	f, err := os.Open(filepath.Join(dir, "checkpoint"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, 0, nil, fmt.Errorf("journal: %w", err)
	default:
		defer f.Close()
		b := bufio.NewReaderSize(f, 1<<20)
		line, err := b.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &at)
		}
		if err == nil {
			state, err = core.Restore(b)
		}
		if err != nil {
			return nil, 0, nil, fmt.Errorf("journal: the checkpoint in %s can't be read; remove it to begin at the journal's beginning: %w", dir, err)
		}
	}
	r, err = OpenReader(dir, at.Offset, at.Epoch, fencing)
	return state, at.Seq, r, err
}
