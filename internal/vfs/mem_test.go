package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// memWith returns a filesystem with one durable file "f" of that many sectors, filled with its number of versions so far: 'a'.
func memWith(t *testing.T, sectors int) (*Mem, File) {
	t.Helper()
	m := NewMem(7)
	f, err := m.Create("f")
	must(t, err)
	_, err = f.WriteAt(fill('a', sectors), 0)
	must(t, err)
	must(t, f.Sync())
	must(t, m.SyncDir("."))
	return m, f
}

func fill(c byte, sectors int) []byte { return bytes.Repeat([]byte{c}, sectors*SectorSize) }

// picture is a file as one letter per sector; '?' for a mixed one, '0' for zeros, '-' for no file.
func picture(t *testing.T, m *Mem, name string) string {
	t.Helper()
	f, err := m.Open(name)
	if err != nil {
		return "-"
	}
	b := []byte(contents(t, f))
	var s strings.Builder
	for part := range slices.Chunk(b, SectorSize) {
		switch {
		case !bytes.Equal(part, bytes.Repeat(part[:1], len(part))):
			s.WriteByte('?')
		case part[0] == 0:
			s.WriteByte('0')
		default:
			s.WriteByte(part[0])
		}
	}
	return s.String()
}

// outcomes returns what pictures of the files a crash may leave, sorted.
func outcomes(t *testing.T, m *Mem, names ...string) []string {
	t.Helper()
	seen := map[string]bool{}
	for o := NewOutcomes(); o.Next(); {
		after := m.Crash(o)
		var pictures []string
		for _, name := range names {
			pictures = append(pictures, picture(t, after, name))
		}
		seen[strings.Join(pictures, " ")] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func TestCrash(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, m *Mem, f File)
		want string // of "f" and "g"
	}{
		{"nothing", func(*testing.T, *Mem, File) {}, "aaa -"},
		{"overwrite", func(t *testing.T, m *Mem, f File) { write(t, f, 'b', 1, 2) }, "aaa -|aab -|aba -|abb -"},
		{"overwrite twice", func(t *testing.T, m *Mem, f File) { write(t, f, 'b', 1, 1); write(t, f, 'c', 1, 1) }, "aaa -|aba -|aca -"},
		{"overwrite, sync", func(t *testing.T, m *Mem, f File) { write(t, f, 'b', 1, 2); must(t, f.Sync()) }, "abb -"},
		{"sync, overwrite", func(t *testing.T, m *Mem, f File) { must(t, f.Sync()); write(t, f, 'b', 0, 1) }, "aaa -|baa -"},
		{"append", func(t *testing.T, m *Mem, f File) { write(t, f, 'b', 3, 1) }, "aaa -|aaa0 -|aaab -"},
		{"truncate", func(t *testing.T, m *Mem, f File) { must(t, f.Truncate(2*SectorSize)) }, "aa -|aa0 -|aaa -"},
		{"create", func(t *testing.T, m *Mem, f File) { made(t, m, "g", 'x') }, "aaa -|aaa x"},
		{"create, sync the directory only", func(t *testing.T, m *Mem, f File) {
			g, err := m.Create("g")
			must(t, err)
			write(t, g, 'x', 0, 1)
			must(t, m.SyncDir("."))
		}, "aaa |aaa 0|aaa x"},
		{"rename", func(t *testing.T, m *Mem, f File) { must(t, m.Rename("f", "g")) }, "- aaa|aaa -"},
		{"rename, sync", func(t *testing.T, m *Mem, f File) { must(t, m.Rename("f", "g")); must(t, m.SyncDir(".")) }, "- aaa"},
		{"replace", func(t *testing.T, m *Mem, f File) {
			made(t, m, "g", 'x')
			must(t, m.SyncDir("."))
			must(t, m.Rename("g", "f"))
		}, "aaa x|x -"},
		{"remove", func(t *testing.T, m *Mem, f File) { must(t, m.Remove("f")) }, "- -|aaa -"},
		{"in order", func(t *testing.T, m *Mem, f File) { made(t, m, "g", 'x'); must(t, m.Remove("f")) }, "- x|aaa -|aaa x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, f := memWith(t, 3)
			c.do(t, m, f)
			if got := strings.Join(outcomes(t, m, "f", "g"), "|"); got != c.want {
				t.Errorf("after a crash %q, want %q", got, c.want)
			}
		})
	}
}

func write(t *testing.T, f File, c byte, sector int64, n int) {
	t.Helper()
	_, err := f.WriteAt(fill(c, n), sector*SectorSize)
	must(t, err)
}

// made makes a file of one sector and syncs it, not its name.
func made(t *testing.T, m *Mem, name string, c byte) {
	t.Helper()
	f, err := m.Create(name)
	must(t, err)
	write(t, f, c, 0, 1)
	must(t, f.Sync())
}

func TestCutPower(t *testing.T) {
	for cut, want := range map[int64]string{
		0: "aaaaaaaa", 1: "aaaaaaaa|baaaaaaa", 8: "", 9: "bbbbbbbb", // 8 sectors, then the end of the write
	} {
		m, f := memWith(t, 8)
		must(t, f.Close())
		m.SetDirect(true)
		g, direct, err := m.OpenLog("f", false)
		if !direct {
			t.Fatal(err)
		}
		m.CutPower(cut)
		b := AlignedBuffer(BlockSize)
		copy(b, fill('b', 8))
		_, err = g.WriteAt(b, 0)
		if off := cut < 9; off != errors.Is(err, ErrPowerOff) {
			t.Errorf("cut after %d: %v", cut, err)
		}
		if cut == 9 {
			if err := g.Sync(); !errors.Is(err, ErrPowerOff) {
				t.Errorf("Sync without power: %v", err)
			}
			if _, err := m.List("."); !errors.Is(err, ErrPowerOff) {
				t.Errorf("List without power: %v", err)
			}
		}
		got := outcomes(t, m, "f")
		if cut == 8 && len(got) != 256 || cut != 8 && strings.Join(got, "|") != want {
			t.Errorf("cut after %d: %d outcomes, %q", cut, len(got), got[:min(3, len(got))])
		}
		after := m.Crash(nil)
		if _, err := after.Open("f"); err != nil {
			t.Errorf("cut after %d, power back: %v", cut, err)
		}
	}
}

// A crashed image and the filesystem it was taken of have nothing to do with each other.
func TestCrashIsACopy(t *testing.T) {
	m, f := memWith(t, 2)
	after := m.Crash(nil)
	write(t, f, 'b', 0, 1)
	g, err := after.Open("f")
	must(t, err)
	write(t, g, 'c', 1, 1)
	if a, b := picture(t, m, "f"), picture(t, after, "f"); a != "ba" || b != "ac" {
		t.Errorf("%s and %s", a, b)
	}
	if lock, err := m.Lock("l", "me"); err != nil {
		t.Fatal(err)
	} else if _, err := m.Crash(nil).Lock("l", "you"); err != nil {
		t.Errorf("the lock outlived the crash: %v", err)
	} else {
		must(t, lock.Close())
	}
}

func TestSeeded(t *testing.T) {
	run := func(seed uint64) string {
		m := NewMem(seed)
		f, err := m.Create("f")
		must(t, err)
		write(t, f, 'a', 0, 64)
		must(t, m.SyncDir("."))
		return picture(t, m.Crash(nil), "f")
	}
	one, again, two := run(1), run(1), run(2)
	if one != again || one == two {
		t.Errorf("the seed does not decide: %s, %s, %s", one, again, two)
	}
}

func TestCapacity(t *testing.T) {
	m, f := memWith(t, 8)
	m.SetCapacity(2 * BlockSize)
	if free, _ := m.Free("."); free != BlockSize {
		t.Errorf("%d bytes free", free)
	}
	if _, err := f.WriteAt(fill('b', 9), 4*SectorSize+BlockSize); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("writing beyond: %v", err)
	}
	write(t, f, 'b', 0, 8) // in place is no matter
	write(t, f, 'c', 8, 8)
	must(t, f.Sync())
	must(t, m.Remove("f"))
	made(t, m, "g", 'x')
	if free, _ := m.Free("."); free != 2*BlockSize-SectorSize {
		t.Errorf("%d bytes free after removing", free)
	}
	h, err := m.Open("g")
	must(t, err)
	must(t, h.Truncate(0)) // may survive or not
	for o := NewOutcomes(); o.Next(); {
		after := m.Crash(o)
		size, _ := after.Stat("g")
		if old, err := after.Stat("f"); err == nil {
			size += old
		}
		if free, _ := after.Free("."); int64(free) != max(0, 2*BlockSize-size) {
			t.Errorf("%d bytes free after a crash that left %d", free, size)
		}
	}
}

func TestRot(t *testing.T) {
	m, _ := memWith(t, 3)
	must(t, m.FlipBit("f", 10, 1))
	must(t, m.Zero("f", SectorSize, SectorSize))
	must(t, m.Scribble("f", 3*SectorSize-2, []byte("zz")))
	if got := outcomes(t, m, "f"); len(got) != 1 || got[0] != "?0?" {
		t.Errorf("%q", got)
	}
	f, err := m.Open("f")
	must(t, err)
	if b := contents(t, f); b[10] != 'c' || b[9] != 'a' || !strings.HasSuffix(b, "azz") {
		t.Errorf("%q", b)
	}
	if err := m.FlipBit("f", 3*SectorSize, 0); err == nil {
		t.Error("flipped a bit beyond the end")
	}
}

// TestMemModel compares a file with a plain slice of bytes, and what survives with what may.
func TestMemModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMem(rapid.Uint64().Draw(t, "seed"))
		f, err := m.Create("f")
		if err == nil {
			err = m.SyncDir(".")
		}
		if err != nil {
			t.Fatal(err)
		}
		var model []byte
		synced := true
		history := map[int64]map[string]bool{} // sector → its contents since the last sync
		remember := func() {
			for n := int64(0); n < 40; n++ {
				s := make([]byte, SectorSize)
				if at := n * SectorSize; at < int64(len(model)) {
					copy(s, model[at:])
				}
				if history[n] == nil {
					history[n] = map[string]bool{}
				}
				history[n][string(s)] = true
			}
		}
		remember()
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				off := rapid.IntRange(0, 16000).Draw(t, "off")
				b := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, rapid.IntRange(1, 4000).Draw(t, "n"))
				if _, err := f.WriteAt(b, int64(off)); err != nil {
					t.Fatal(err)
				}
				if grow := off + len(b) - len(model); grow > 0 {
					model = append(model, make([]byte, grow)...)
				}
				copy(model[off:], b)
				synced = false
				remember()
			},
			"truncate": func(t *rapid.T) {
				size := rapid.IntRange(0, 20000).Draw(t, "size")
				if err := f.Truncate(int64(size)); err != nil {
					t.Fatal(err)
				}
				model = append(model, make([]byte, max(0, size-len(model)))...)[:size]
				synced = false
				remember()
			},
			"sync": func(t *rapid.T) {
				if err := f.Sync(); err != nil {
					t.Fatal(err)
				}
				synced = true
				clear(history)
				remember()
			},
			"crash": func(t *rapid.T) {
				after := m.Crash(nil)
				g, err := after.Open("f")
				if err != nil {
					t.Fatal(err)
				}
				size, _ := g.Size()
				b := make([]byte, size)
				if _, err := g.ReadAt(b, 0); err != nil && err != io.EOF {
					t.Fatal(err)
				}
				if synced && !bytes.Equal(b, model) {
					t.Fatal("lost synced bytes")
				}
				for n := int64(0); (n+1)*SectorSize <= size; n++ {
					if s := string(b[n*SectorSize:][:SectorSize]); !history[n][s] {
						t.Fatalf("sector %d has what was never written: %q…", n, s[:8])
					}
				}
			},
			"": func(t *rapid.T) {
				b := make([]byte, len(model)+10)
				n, err := f.ReadAt(b, 0)
				if err != io.EOF || !bytes.Equal(b[:n], model) {
					t.Fatalf("read %d of %d bytes, %v", n, len(model), err)
				}
			},
		})
	})
}

func TestOutcomesAreAll(t *testing.T) {
	var got []string
	for o := NewOutcomes(); o.Next(); {
		s := fmt.Sprint(o.IntN(2))
		if s == "1" {
			s += fmt.Sprint(o.IntN(3))
		}
		got = append(got, s)
	}
	if !slices.Equal(got, []string{"0", "10", "11", "12"}) {
		t.Error(got)
	}
}

func TestFailSync(t *testing.T) {
	m, f := memWith(t, 3)
	_, err := f.WriteAt(fill('b', 2), 0)
	must(t, err)
	must(t, m.FailSync("f"))
	must(t, f.Sync()) // says that all is well, and is not
	if got := picture(t, m, "f"); got != "bba" {
		t.Errorf("%s is read, not bba", got)
	}
	if got, want := outcomes(t, m, "f"), []string{"aaa", "aba", "baa", "bba"}; !m.Stuck("f") || !slices.Equal(got, want) {
		t.Errorf("stuck %v, after a crash %q, not %q", m.Stuck("f"), got, want)
	}
	_, err = f.WriteAt(fill('b', 2), 0) // the same bytes again
	must(t, err)
	must(t, f.Sync())
	if got, want := outcomes(t, m, "f"), []string{"bba"}; m.Stuck("f") || !slices.Equal(got, want) {
		t.Errorf("stuck %v, after a crash %q, not %q", m.Stuck("f"), got, want)
	}
}
