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
	}
	return nil
}
