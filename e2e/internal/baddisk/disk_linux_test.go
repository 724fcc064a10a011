package baddisk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gopherwood/e2e/internal/lan"
)

var noSandbox error

func TestMain(m *testing.M) {
	code, isInside, err := lan.Sandbox() // so that no mount outlives the test
	if isInside || err != nil {
		noSandbox = err
		code = m.Run()
	}
	os.Exit(code)
}

// mounted shows a folder as a bad disk, or skips the test where that can't be.
func mounted(t *testing.T) (d *Disk, below, above string) {
	t.Helper()
	if noSandbox != nil {
		t.Skip(noSandbox)
	}
	below, above = t.TempDir(), t.TempDir()
	d, err := Mount(below, above, 1)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, below, above
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes to an open file and fails the test if it can't.
func write(t *testing.T, f *os.File, b []byte, off int64) {
	t.Helper()
	_, err := f.WriteAt(b, off)
	must(t, err)
}

func TestCut(t *testing.T) {
	d, below, above := mounted(t)
	const sectors = 64
	fill := func(c byte) []byte { return bytes.Repeat([]byte{c}, sectors*sectorBytes) }

	plain, err := os.Create(filepath.Join(above, "plain"))
	must(t, err)
	write(t, plain, fill('a'), 0)
	must(t, plain.Sync())
	write(t, plain, fill('b'), 0)
	must(t, plain.Close()) // closing is not syncing

	must(t, os.WriteFile(filepath.Join(above, "through"), fill('a'), 0o644))
	through, err := os.OpenFile(filepath.Join(above, "through"), os.O_RDWR|syscall.O_DSYNC|syscall.O_DIRECT, 0)
	if err != nil {
		through, err = os.OpenFile(filepath.Join(above, "through"), os.O_RDWR|syscall.O_DSYNC, 0)
	}
	must(t, err)
	write(t, through, fill('b'), 0)
	must(t, through.Close())

	moved, err := os.Create(filepath.Join(above, "tmp"))
	must(t, err)
	write(t, moved, fill('a'), 0)
	must(t, moved.Sync())
	write(t, moved, fill('b'), sectors*sectorBytes)
	must(t, moved.Close())
	must(t, os.Rename(filepath.Join(above, "tmp"), filepath.Join(above, "moved")))

	if got, err := os.ReadFile(filepath.Join(above, "plain")); err != nil || !bytes.Equal(got, fill('b')) {
		t.Fatalf("what was written can't be read before the power is cut: %v", err)
	}
	must(t, d.Cut(0.5))

	got, err := os.ReadFile(filepath.Join(above, "plain"))
	must(t, err)
	if n := bytes.Count(got, []byte{'b'}) / sectorBytes; n < sectors/5 || n > sectors*4/5 || len(got) != sectors*sectorBytes || bytes.Count(got, []byte{'b'})%sectorBytes != 0 {
		t.Errorf("%d of %d sectors that were not synced survive, in %d bytes", n, sectors, len(got))
	}
	if got, err := os.ReadFile(filepath.Join(above, "through")); err != nil || !bytes.Equal(got, fill('b')) {
		t.Errorf("what was written durably is lost: %v", err)
	}
	got, err = os.ReadFile(filepath.Join(above, "moved"))
	must(t, err)
	if len(got) < sectors*sectorBytes || !bytes.Equal(got[:sectors*sectorBytes], fill('a')) {
		t.Error("what was synced under another name is lost")
	}
	if s := d.Stats(); s.Lost == 0 || s.Kept == 0 || s.Syncs < 2 {
		t.Errorf("counted %+v", s)
	}
	if _, err := os.Stat(filepath.Join(below, "moved")); err != nil {
		t.Error(err)
	}
}

// A disk that lies loses what was synced, and all of it if nothing is to survive.
func TestLie(t *testing.T) {
	d, _, above := mounted(t)
	name := filepath.Join(above, "f")
	must(t, os.WriteFile(name, make([]byte, 4*sectorBytes), 0o644))
	d.Settle()
	d.Set(Trouble{Lie: true})
	f, err := os.OpenFile(name, os.O_RDWR|syscall.O_DSYNC, 0)
	must(t, err)
	write(t, f, bytes.Repeat([]byte{'b'}, 5*sectorBytes), 0)
	must(t, f.Sync())
	must(t, f.Close())
	must(t, d.Cut(0))
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, make([]byte, 4*sectorBytes)) {
		t.Errorf("%d bytes are there, %v; wanted those from before the lie", len(got), err)
	}
}

func TestTrouble(t *testing.T) {
	d, _, above := mounted(t)
	f, err := os.Create(filepath.Join(above, "f"))
	must(t, err)
	defer f.Close()
	write(t, f, []byte("hello"), 0)

	d.Set(Trouble{FailSyncs: true})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync: %v", err)
	}
	d.Set(Trouble{FailWrites: true})
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("write: %v", err)
	}
	d.Set(Trouble{FailReads: true})
	if _, err := f.ReadAt(make([]byte, 5), 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("read: %v", err)
	}
	d.Set(Trouble{Slow: 50 * time.Millisecond})
	start := time.Now()
	must(t, f.Sync())
	if took := time.Since(start); took < 50*time.Millisecond {
		t.Errorf("a slow sync took %v", took)
	}
	d.Set(Trouble{Hang: true})
	done := make(chan error)
	go func() { done <- f.Sync() }()
	select {
	case err := <-done:
		t.Errorf("a sync of a disk that hangs: %v", err)
	case <-time.After(100 * time.Millisecond):
		d.Set(Trouble{})
		must(t, <-done)
	}
	if s := d.Stats(); s.Failed != 3 {
		t.Errorf("counted %+v", s)
	}
}
