package tree_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"gopherwood/internal/tree"
	"gopherwood/zk"
)

// small is a tree with some of everything.
func small(t testing.TB) *writer {
	w := newWriter(t, tree.New(tree.Options{Seed: 1}))
	w.create("/a")
	w.do(tree.Op{Code: zk.OpCreate, Path: "/a/e", ACL: openACL, Mode: zk.ModeEphemeral})
	w.do(tree.Op{Code: zk.OpCreateContainer, Path: "/c", Data: []byte{}, ACL: []zk.ACL{{Perms: 31, ID: zk.ID{Scheme: "ip", ID: "::1"}}, {Perms: 1, ID: zk.WorldAnyone}}})
	w.do(tree.Op{Code: zk.OpCreateTTL, Path: "/a/t", Mode: zk.ModeTTL, TTL: 77, ACL: openACL})
	w.do(tree.Op{Code: zk.OpCreate, Path: "/a/b", Data: bytes.Repeat([]byte("big"), 100_000), ACL: openACL})
	w.do(tree.Op{Code: zk.OpSetACL, Path: "/a/b", ACL: []zk.ACL{{Perms: 3, ID: zk.WorldAnyone}}, Version: -1})
	w.set("/a", nil)
	return w
}

// TestViewsWhileWriting writes views on other goroutines while the tree changes, and compares each with the bytes of a second
// tree that stood still at that point.
func TestViewsWhileWriting(t *testing.T) {
	w, still := newWriter(t, tree.New(tree.Options{})), newWriter(t, tree.New(tree.Options{}))
	both := func(op tree.Op) { w.do(op); still.do(op) }
	both(tree.Op{Code: zk.OpCreate, Path: "/d", ACL: openACL})
	for i := range 5000 {
		both(tree.Op{Code: zk.OpCreate, Path: fmt.Sprintf("/d/%d", i), Data: make([]byte, i%200), ACL: openACL})
	}
	rng := rand.New(rand.NewPCG(1, 1))
	type written struct {
		view *tree.View
		want []byte
		got  chan []byte
	}
	var running []written
	finish := func() {
		r := running[0]
		running = running[1:]
		if got := <-r.got; !bytes.Equal(got, r.want) {
			t.Errorf("view at zxid %d: %d bytes differ from the %d expected", r.view.Zxid(), len(got), len(r.want))
		}
		r.view.Close()
		r.view.Close() // does nothing
	}
	for round := range 12 {
		v := still.View()
		r := written{view: w.View(), want: snapshot(t, v), got: make(chan []byte, 1)}
		v.Close()
		go func() { r.got <- snapshot(t, r.view) }()
		running = append(running, r)
		for i := range 1500 {
			path := fmt.Sprintf("/d/%d", rng.IntN(5000))
			if _, code := w.Exists(path, nil); code == zk.ErrNoNode {
				both(tree.Op{Code: zk.OpCreate, Path: path, ACL: openACL, Mode: zk.CreateMode(rng.IntN(2))})
			} else if i%3 == 0 {
				both(tree.Op{Code: zk.OpDelete, Path: path, Version: -1})
			} else {
				both(tree.Op{Code: zk.OpSetData, Path: path, Data: make([]byte, rng.IntN(300)), Version: -1})
			}
		}
		if round%3 == 2 {
			finish()
		}
	}
	for len(running) > 0 {
		finish()
	}
	if err := w.Check(); err != nil {
		t.Error(err)
	}
	if w.Digest() != still.Digest() {
		t.Error("digests differ")
	}
}

// TestReplacedDataComesBack sets under a view and says that the memory is used again once it is closed.
func TestReplacedDataComesBack(t *testing.T) {
	w := newWriter(t, tree.New(tree.Options{}))
	w.fill(10, 100)
	for round := range 3 {
		v := w.View()
		for range 5 {
			for i := range 1000 {
				w.set(leafPath(10, i), benchData)
			}
		}
		if kept := w.Kept(); kept != 1000 {
			t.Fatalf("%d blobs are kept for a view of 1000 replaced ones", kept)
		}
		v.Close()
		for range 2000 { // closed views give back a little with every command
			w.set("/bench", nil)
		}
		if err := w.Check(); err != nil {
			t.Fatal(round, err)
		}
		if kept := w.Kept(); kept != 0 {
			t.Fatalf("round %d: %d blobs are kept", round, kept)
		}
	}
}

// TestViewAcrossRestore holds that a View outlives the tree that it is of.
func TestViewAcrossRestore(t *testing.T) {
	w := small(t)
	v := w.View()
	b := snapshot(t, v)
	if err := w.Restore(bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	w.set("/a", benchData)
	if !bytes.Equal(snapshot(t, v), b) {
		t.Error("the view has changed")
	}
	v.Close()
	if err := w.Check(); err != nil {
		t.Error(err)
	}
}

// TestEveryWrongByte changes every byte of a snapshot in turn and cuts it at every place: never a panic, never accepted.
func TestEveryWrongByte(t *testing.T) {
	w := small(t)
	w.do(tree.Op{Code: zk.OpDelete, Path: "/a/b", Version: -1})
	for _, tc := range []struct {
		version string
		b       []byte
	}{{"1", snapshot(t, w.View())}, {"2", stagedSnapshot(t, w)}} {
		t.Run(tc.version, func(t *testing.T) { everyWrongByte(t, tc.b) })
	}
}

// stagedSnapshot is the snapshot of a tree that was restored once, with another one half staged.
func stagedSnapshot(t testing.TB, w *writer) []byte {
	s := &stager{writer: w, env: benchEnv}
	b := snapshot(t, s.View())
	if s.stage(1, 0, b) != zk.OK || s.restore(1, uint64(len(b))) != zk.OK || s.stage(2, 0, b[:50]) != zk.OK {
		t.Fatal(s.r.Code)
	}
	return snapshot(t, s.View())
}

func everyWrongByte(t *testing.T, b []byte) {
	tr := tree.New(tree.Options{Seed: 1})
	fresh := tr.Digest()
	for i := range b {
		for _, bit := range []byte{1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0xff} {
			bad := bytes.Clone(b)
			bad[i] ^= bit
			err := tr.Restore(bytes.NewReader(bad))
			if c := (*tree.CorruptError)(nil); !errors.As(err, &c) {
				t.Fatalf("byte %d of %d ^ %x: %v", i, len(b), bit, err)
			}
			if tr.Digest() != fresh {
				t.Fatalf("byte %d: the tree is not as new", i)
			}
			if bit == 1<<(i%8) && tr.RestoreAnyDigest(bytes.NewReader(bad)) == nil {
				if err := tr.Check(); err != nil {
					t.Fatalf("byte %d of %d ^ %x: %v", i, len(b), bit, err)
				}
			}
		}
		if err := tr.Restore(bytes.NewReader(b[:i])); err == nil {
			t.Fatalf("the first %d of %d bytes restore", i, len(b))
		}
	}
	if err := tr.Restore(io.MultiReader(bytes.NewReader(b), strings.NewReader("x"))); err == nil {
		t.Fatal("a byte after the end is not seen")
	}
	if err := tr.Restore(bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	if err := tr.Check(); err != nil {
		t.Fatal(err)
	}
}

// faulty fails after n bytes, reading or writing.
type faulty struct {
	n int
	r io.Reader
}

var errDisk = errors.New("disk on fire")

func (f *faulty) Read(p []byte) (int, error) {
	if f.n == 0 {
		return 0, errDisk
	}
	n, err := f.r.Read(p[:min(len(p), f.n)])
	f.n -= n
	return n, err
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func TestSnapshotErrors(t *testing.T) {
	w := small(t)
	b := snapshot(t, w.View())
	for n := 0; n <= len(b); n += 997 {
		if err := tree.New(tree.Options{}).Restore(&faulty{n: n, r: bytes.NewReader(b)}); !errors.Is(err, errDisk) {
			t.Fatalf("read fails after %d bytes: %v", n, err)
		}
		if n == len(b) {
			break
		}
		if _, err := w.View().WriteTo(&faulty{n: n}); !errors.Is(err, errDisk) {
			t.Fatalf("write fails after %d bytes: %v", n, err)
		}
	}
}

// FuzzRestore holds that no stream makes Restore panic or allocate much, and that what it accepts is a sound tree whose snapshot restores.
func FuzzRestore(f *testing.F) {
	w := small(f)
	w.do(tree.Op{Code: zk.OpDelete, Path: "/a/b", Version: -1})
	f.Add(snapshot(f, w.View()))
	f.Add(snapshot(f, tree.New(tree.Options{}).View()))
	f.Add(stagedSnapshot(f, w))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr := tree.New(tree.Options{Seed: 1})
		err := tr.RestoreAnyDigest(bytes.NewReader(b))
		if c := (*tree.CorruptError)(nil); err != nil && !errors.As(err, &c) {
			t.Fatal(err)
		}
		if err := tr.Check(); err != nil {
			t.Fatal(err)
		}
		if err := tr.Restore(bytes.NewReader(snapshot(t, tr.View()))); err != nil {
			t.Fatal(err)
		}
	})
}
