package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
)

// everywhere runs a test against the real filesystem, the one in memory and the wrapped one: they must not differ.
func everywhere(t *testing.T, test func(t *testing.T, fsys FS, dir string)) {
	t.Run("os", func(t *testing.T) { test(t, OS(), t.TempDir()) })
	t.Run("mem", func(t *testing.T) { test(t, NewMem(1), "/") })
	t.Run("errors", func(t *testing.T) { test(t, WithErrors(NewMem(1)), "some/dir") })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, f File) string {
	t.Helper()
	size, err := f.Size()
	must(t, err)
	b, err := io.ReadAll(io.NewSectionReader(f, 0, size))
	must(t, err)
	return string(b)
}

func TestFiles(t *testing.T) {
	everywhere(t, func(t *testing.T, fsys FS, dir string) {
		must(t, fsys.MkdirAll(path.Join(dir, "a/b")))
		must(t, fsys.MkdirAll(path.Join(dir, "a/b")))
		name := path.Join(dir, "a/b/f")
		f, err := fsys.Create(name)
		must(t, err)
		for _, part := range []string{"one ", "two ", "three"} {
			if n, err := f.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		_, err = f.WriteAt([]byte("TWO"), 4)
		must(t, err)
		if got := contents(t, f); got != "one TWO three" {
			t.Errorf("contents %q", got)
		}
		must(t, f.Truncate(5))
		must(t, f.Truncate(8))
		if got := contents(t, f); got != "one T\x00\x00\x00" {
			t.Errorf("after truncating twice %q", got)
		}
		_, err = f.WriteAt([]byte("x"), 2*BlockSize+1)
		must(t, err)
		must(t, f.Sync())
		must(t, f.Close())

		size, err := fsys.Stat(name)
		if size != 2*BlockSize+2 || err != nil {
			t.Errorf("Stat: %d, %v", size, err)
		}
		g, err := fsys.Open(name)
		must(t, err)
		b := make([]byte, 4)
		if n, err := g.ReadAt(b, 2*BlockSize); n != 2 || err != io.EOF || string(b[:2]) != "\x00x" {
			t.Errorf("read at the end: %d, %v, %q", n, err, b)
		}
		if n, err := io.ReadFull(g, b); n != 4 || err != nil || string(b) != "one " {
			t.Errorf("Read: %d, %v, %q", n, err, b)
		}
		must(t, g.Close())
		if _, err := fsys.Create(name); err != nil {
			t.Fatal(err)
		}
		if size, _ := fsys.Stat(name); size != 0 {
			t.Errorf("Create left %d bytes", size)
		}
	})
}

func TestNames(t *testing.T) {
	everywhere(t, func(t *testing.T, fsys FS, dir string) {
		must(t, fsys.MkdirAll(path.Join(dir, "sub")))
		for _, name := range []string{"c", "a", "b"} {
			f, err := fsys.Create(path.Join(dir, name))
			must(t, err)
			_, err = f.Write([]byte(name))
			must(t, err)
			defer f.Close()
		}
		must(t, fsys.Rename(path.Join(dir, "c"), path.Join(dir, "b")))
		must(t, fsys.Remove(path.Join(dir, "a")))
		must(t, fsys.SyncDir(dir))
		names, err := fsys.List(dir)
		if !slices.Equal(names, []string{"b", "sub"}) || err != nil {
			t.Errorf("List: %v, %v", names, err)
		}
		f, err := fsys.Open(path.Join(dir, "b"))
		must(t, err)
		if got := contents(t, f); got != "c" {
			t.Errorf("the renamed file has %q", got)
		}
		must(t, fsys.Remove(path.Join(dir, "b")))
		if got := contents(t, f); got != "c" {
			t.Errorf("the open file has %q after its name is gone", got)
		}
		f.Close()

		missing := path.Join(dir, "missing")
		_, openErr := fsys.Open(missing)
		_, _, logErr := fsys.OpenLog(missing, false)
		_, statErr := fsys.Stat(missing)
		_, listErr := fsys.List(missing)
		for what, err := range map[string]error{
			"Open": openErr, "OpenLog": logErr, "Stat": statErr, "List": listErr,
			"Remove": fsys.Remove(missing), "Rename": fsys.Rename(missing, missing+"2"), "Create": create(fsys, missing+"/x"),
		} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s of what isn't there: %v", what, err)
			}
		}
		if _, err := fsys.Free(dir); err != nil {
			t.Errorf("Free: %v", err)
		}
	})
}

func create(fsys FS, name string) error {
	_, err := fsys.Create(name)
	return err
}

func TestOpenLog(t *testing.T) {
	everywhere(t, func(t *testing.T, fsys FS, dir string) {
		if m, ok := fsys.(*Mem); ok {
			m.SetDirect(true)
		}
		name := path.Join(dir, "log")
		must(t, fsys.MkdirAll(dir))
		f, direct, err := fsys.OpenLog(name, true)
		must(t, err)
		t.Logf("direct: %v", direct)
		b := AlignedBuffer(2 * BlockSize)
		copy(b[BlockSize:], "second block")
		_, err = f.WriteAt(b, BlockSize)
		must(t, err)
		must(t, f.Sync())
		must(t, f.Close())

		f, _, err = fsys.OpenLog(name, true) // does not truncate
		must(t, err)
		defer f.Close()
		got := AlignedBuffer(BlockSize)
		if n, err := f.ReadAt(got, 2*BlockSize); n != BlockSize || err != nil || !bytes.HasPrefix(got, []byte("second")) {
			t.Errorf("read %d, %v, %q", n, err, got[:12])
		}
		if _, err := f.WriteAt(b[:100], 0); direct && err == nil {
			t.Error("a direct file took 100 bytes")
		}
	})
}

func TestLock(t *testing.T) {
	everywhere(t, func(t *testing.T, fsys FS, dir string) {
		must(t, fsys.MkdirAll(dir))
		name := path.Join(dir, "LOCK")
		held, err := fsys.Lock(name, "pid 17 on ark")
		must(t, err)
		_, err = fsys.Lock(name, "pid 18")
		var locked *LockedError
		if !errors.As(err, &locked) || !errors.Is(err, ErrLocked) || locked.Owner != "pid 17 on ark" || !strings.Contains(err.Error(), "pid 17 on ark") {
			t.Errorf("second Lock: %v", err)
		}
		must(t, held.Close())
		again, err := fsys.Lock(name, "x")
		must(t, err)
		_, err = fsys.Lock(name, "y")
		if !errors.As(err, &locked) || locked.Owner != "x" {
			t.Errorf("after a longer owner: %v", err)
		}
		must(t, again.Close())
	})
}

func TestAlignedBuffer(t *testing.T) {
	for _, n := range []int{0, 1, 4096, 4097, 1 << 20} {
		if b := AlignedBuffer(n); len(b) != n || cap(b) != n || n > 0 && !aligned(b[:n&^(BlockSize-1)], 0) {
			t.Errorf("AlignedBuffer(%d): length %d, capacity %d", n, len(b), cap(b))
		}
	}
}
