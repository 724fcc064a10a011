//go:build linux && (amd64 || arm64)

package vfs

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// openAIO opens a direct file of that many bytes, or skips the test where there is none.
func openAIO(t *testing.T, size int) *aioFile {
	t.Helper()
	f, direct, err := OS().OpenLog(filepath.Join(t.TempDir(), "log"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if !direct {
		t.Skip("this filesystem has no direct files")
	}
	if _, err := f.WriteAt(AlignedBuffer(size), 0); err != nil {
		t.Fatal(err)
	}
	a := f.(*aioFile)
	if a.plain {
		t.Skip("this process may not use asynchronous writes")
	}
	return a
}

func filled(n int) []byte {
	b := AlignedBuffer(n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func TestAsynchronousWrites(t *testing.T) {
	const writers, each, size = 4, 50, 16 << 10
	f := openAIO(t, writers*each*size)
	want := filled(writers * each * size)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				off := (w*each + i) * size
				if n, err := f.WriteAt(want[off:off+size], int64(off)); n != size || err != nil {
					t.Errorf("write at %d: %d, %v", off, n, err)
				}
			}
		})
	}
	wg.Wait()
	got := AlignedBuffer(len(want))
	if _, err := f.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the file holds something else than was written")
	}
}

// More than the kernel takes with one request.
func TestLongAsynchronousWrite(t *testing.T) {
	f := openAIO(t, BlockSize)
	want := filled(24 << 20)
	if n, err := f.WriteAt(want, BlockSize); n != len(want) || err != nil {
		t.Fatalf("%d of %d bytes, %v", n, len(want), err)
	}
	got := AlignedBuffer(len(want))
	if _, err := f.ReadAt(got, BlockSize); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file holds something else than was written (%v)", err)
	}
}

func TestAsynchronousWriteFails(t *testing.T) {
	f := openAIO(t, BlockSize)
	if _, err := f.WriteAt(filled(BlockSize)[:100], 0); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a write of 100 bytes: %v", err)
	}
	b := filled(BlockSize)
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Errorf("a write after one that failed: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a write to a closed file: %v", err)
	}
}

// Where the kernel has no asynchronous writes for this process, they are plain ones.
func TestWithoutAsynchronousWrites(t *testing.T) {
	f := openAIO(t, BlockSize)
	f.tearDown()
	f.plain = true
	want, got := filled(2*BlockSize), AlignedBuffer(2*BlockSize)
	if _, err := f.WriteAt(want, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file holds something else than was written (%v)", err)
	}
}

// One write at a time, as the log makes them: small, each durable before the next.
func BenchmarkDurableWrite(b *testing.B) {
	open := func(b *testing.B) File {
		f, direct, err := OS().OpenLog(filepath.Join(b.TempDir(), "log"), true)
		if err != nil || !direct {
			b.Skip("this filesystem has no direct files", err)
		}
		b.Cleanup(func() { f.Close() })
		if _, err := f.WriteAt(AlignedBuffer(1<<20), 0); err != nil {
			b.Fatal(err)
		}
		return f
	}
	write := func(b *testing.B, f File) {
		block := filled(BlockSize)
		for i := 0; b.Loop(); i++ {
			if _, err := f.WriteAt(block, int64(i%256*BlockSize)); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("asynchronous", func(b *testing.B) { write(b, open(b)) })
	b.Run("plain", func(b *testing.B) {
		f := open(b)
		if a, ok := f.(*aioFile); ok {
			f = a.osFile
		}
		write(b, f)
	})
}
