package vfs

// What a disk may do to bytes long after they were synced, for tests. Each changes both what is read and what is durable.

// FlipBit inverts one bit of the byte at off.
func (m *Mem) FlipBit(name string, off int64, bit uint) error {
	return m.rot(name, off, 1, func(b []byte) { b[0] ^= 1 << (bit % 8) })
}

// Zero makes n bytes from off zero.
func (m *Mem) Zero(name string, off int64, n int) error {
	return m.rot(name, off, n, func(b []byte) { clear(b) })
}

// Scribble puts other bytes in place.
func (m *Mem) Scribble(name string, off int64, bytes []byte) error {
	return m.rot(name, off, len(bytes), func(b []byte) { copy(b, bytes) })
}

// rot rewrites n bytes of a file. Sectors beyond its end are left alone.
func (m *Mem) rot(name string, off int64, n int, change func(b []byte)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.file("rot", name)
	if err != nil {
		return err
	}
	b := make([]byte, n)
	if _, err := f.readAt(b, off); err != nil {
		return pathError("rot", name, err)
	}
	change(b)
	for k := off / SectorSize; k*SectorSize < off+int64(n); k++ {
		var s sector
		copy(s[:], f.sectorAt(k))
		start := k * SectorSize
		copy(s[max(0, off-start):], b[max(0, start-off):])
		f.setSector(k, s[:])
		delete(f.dirty, k)
		delete(f.stuck, k)
	}
	return nil
}

// FailSync leaves a file as a kernel does that could not write it back and said so once: what was written since the last sync can still be read, it is not
// durable, and no later sync makes it so. Writing it again does, even with the same bytes.
func (m *Mem) FailSync(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.file("sync", name)
	if err != nil {
		return err
	}
	f.stuck = make(map[int64]bool, len(f.dirty))
	for n := range f.dirty {
		f.stuck[n] = true
	}
	return nil
}

// Stuck says whether a file has bytes that no sync makes durable.
func (m *Mem) Stuck(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.file("stat", name)
	return err == nil && len(f.stuck) > 0
}
