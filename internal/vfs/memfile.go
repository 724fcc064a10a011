package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"syscall"
)

type sector [SectorSize]byte

// page is BlockSize bytes of a file. Only its owner may write to it; without one (after a Crash both images have it) nobody may.
type page struct {
	owner *memFile
	b     [BlockSize]byte
}

// memFile is an inode. A nil page is all zero. Sectors that were written since the last sync are in dirty, with what they held then and
// after each write, the newest last (nil: zero); sizes likewise. Guarded by Mem.mu.
type memFile struct {
	pages []*page
	size  int64
	sizes []int64
	dirty map[int64][]*sector
	stuck map[int64]bool // those of the dirty ones that no Sync makes durable (FailSync)
}

const sectorsPerPage = BlockSize / SectorSize

// sectorAt returns the bytes of a sector to read; nil if they are zero.
func (f *memFile) sectorAt(n int64) []byte {
	if p := f.page(n / sectorsPerPage); p != nil {
		i := n % sectorsPerPage * SectorSize
		return p.b[i : i+SectorSize]
	}
	return nil
}

func (f *memFile) page(n int64) *page {
	if n >= int64(len(f.pages)) {
		return nil
	}
	return f.pages[n]
}

var zeros sector

// setSector puts 512 bytes in place, whatever is durable.
func (f *memFile) setSector(n int64, b []byte) {
	pn := n / sectorsPerPage
	p := f.page(pn)
	if p == nil && string(b) == string(zeros[:]) {
		return
	}
	for int64(len(f.pages)) <= pn {
		f.pages = append(f.pages, nil)
	}
	if p == nil {
		p = &page{owner: f}
	} else if p.owner != f {
		p = &page{owner: f, b: p.b}
	}
	f.pages[pn] = p
	copy(p.b[n%sectorsPerPage*SectorSize:], b)
}

func (f *memFile) copySector(n int64) *sector {
	b := f.sectorAt(n)
	if b == nil {
		return nil
	}
	s := new(sector)
	copy(s[:], b)
	return s
}

// writeSector changes a sector and remembers that it is not durable.
func (f *memFile) writeSector(n int64, b []byte) {
	old := f.sectorAt(n)
	if old == nil {
		old = zeros[:]
	}
	versions, isDirty := f.dirty[n]
	delete(f.stuck, n)
	if string(old) == string(b) {
		return // the same bytes survive or not: nobody can tell
	}
	if !isDirty {
		versions = []*sector{f.copySector(n)}
	}
	f.setSector(n, b)
	if len(versions) >= maxVersions {
		versions = slices.Delete(versions, 1, 2)
	}
	f.dirty[n] = append(versions, f.copySector(n))
}

func (f *memFile) resize(m *Mem, size int64) error {
	if size == f.size {
		return nil
	}
	if size-f.size > m.capacity-m.used {
		return syscall.ENOSPC
	}
	if f.sizes == nil {
		f.sizes = []int64{f.size}
	} else if len(f.sizes) >= maxVersions {
		f.sizes = slices.Delete(f.sizes, 1, 2)
	}
	m.used += size - f.size
	f.size = size
	f.sizes = append(f.sizes, size)
	return nil
}

func (f *memFile) truncate(m *Mem, size int64) error {
	old := f.size
	if err := f.resize(m, size); err != nil {
		return err
	}
	f.zeroFrom(size, old)
	return nil
}

// zeroFrom makes the bytes in [size, end) zero, so that a file that grows again doesn't have them.
func (f *memFile) zeroFrom(size, end int64) {
	for n := size / SectorSize; n*SectorSize < end; n++ {
		var b sector
		copy(b[:], f.sectorAt(n))
		if keep := size - n*SectorSize; keep < SectorSize {
			clear(b[max(0, keep):])
		}
		f.writeSector(n, b[:])
	}
}

// writeAt writes sector by sector, so that a cut of the power can fall between any two. A direct write is durable at its end.
func (f *memFile) writeAt(m *Mem, b []byte, off int64, direct bool) error {
	if err := f.resize(m, max(f.size, off+int64(len(b)))); err != nil {
		return err
	}
	first, end := off/SectorSize, off+int64(len(b))
	for n := first; n*SectorSize < end; n++ {
		if err := m.step(); err != nil {
			return err
		}
		start := n * SectorSize
		if start >= off && start+SectorSize <= end {
			f.writeSector(n, b[start-off:][:SectorSize])
			continue
		}
		var s sector
		copy(s[:], f.sectorAt(n))
		copy(s[max(0, off-start):], b[max(0, start-off):])
		f.writeSector(n, s[:])
	}
	if !direct {
		return nil
	}
	if err := m.step(); err != nil {
		return err
	}
	for n := first; n*SectorSize < end; n++ {
		delete(f.dirty, n)
		delete(f.stuck, n)
	}
	f.sizes = nil
	return nil
}

// synced makes everything durable but what is stuck.
func (f *memFile) synced() {
	if len(f.stuck) == 0 {
		clear(f.dirty)
	} else {
		maps.DeleteFunc(f.dirty, func(n int64, _ []*sector) bool { return !f.stuck[n] })
	}
	f.sizes = nil
}

func (f *memFile) readAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, syscall.EINVAL
	}
	if off >= f.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), f.size-off))
	for done := 0; done < n; {
		at := off + int64(done)
		in := int(at % BlockSize)
		part := b[done:n]
		part = part[:min(len(part), BlockSize-in)]
		if p := f.page(at / BlockSize); p != nil {
			copy(part, p.b[in:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// crash returns the file in a filesystem after a power loss.
func (f *memFile) crash(after *Mem, choose Chooser) *memFile {
	for _, p := range f.pages {
		if p != nil {
			p.owner = nil
		}
	}
	g := &memFile{pages: slices.Clone(f.pages), size: f.size, dirty: map[int64][]*sector{}}
	for _, n := range slices.Sorted(maps.Keys(f.dirty)) {
		versions := f.dirty[n]
		v := versions[choose.IntN(len(versions))]
		if v == nil {
			v = &zeros
		}
		g.setSector(n, v[:])
	}
	if len(f.sizes) > 0 {
		g.size = f.sizes[choose.IntN(len(f.sizes))]
		g.zeroFrom(g.size, f.size)
		clear(g.dirty)
	}
	after.used += g.size
	return g
}

// memHandle is an open memFile. pos is not guarded: Read and Write are for one goroutine.
type memHandle struct {
	fs     *Mem
	f      *memFile
	name   string
	direct bool
	closed bool
	pos    int64
}

func (h *memHandle) check(b []byte, off int64) error {
	switch {
	case h.closed:
		return fs.ErrClosed
	case h.fs.off():
		return ErrPowerOff
	case h.direct && !aligned(b, off):
		return fmt.Errorf("direct access of %d bytes at %d: %w", len(b), off, syscall.EINVAL)
	}
	return nil
}

// ReadAt implements File.
func (h *memHandle) ReadAt(b []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.check(b, off); err != nil {
		return 0, pathError("read", h.name, err)
	}
	return h.f.readAt(b, off)
}

// WriteAt implements File.
func (h *memHandle) WriteAt(b []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	err := h.check(b, off)
	if err == nil {
		err = h.f.writeAt(h.fs, b, off, h.direct)
	}
	if err != nil {
		return 0, pathError("write", h.name, err)
	}
	return len(b), nil
}

// Read implements File.
func (h *memHandle) Read(b []byte) (int, error) {
	n, err := h.ReadAt(b, h.pos)
	h.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Write implements File.
func (h *memHandle) Write(b []byte) (int, error) {
	n, err := h.WriteAt(b, h.pos)
	h.pos += int64(n)
	return n, err
}

// Sync implements File.
func (h *memHandle) Sync() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	err := h.check(nil, 0)
	if err == nil {
		err = h.fs.step()
	}
	if err != nil {
		return pathError("sync", h.name, err)
	}
	h.f.synced()
	return nil
}

// Size implements File.
func (h *memHandle) Size() (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.f.size, h.check(nil, 0)
}

// Truncate implements File.
func (h *memHandle) Truncate(sizeBytes int64) error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	err := h.check(nil, 0)
	if err == nil {
		err = h.fs.step()
	}
	if err == nil {
		err = h.f.truncate(h.fs, sizeBytes)
	}
	if err != nil {
		return pathError("truncate", h.name, err)
	}
	return nil
}

// Close implements File.
func (h *memHandle) Close() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	h.closed = true
	return nil
}
