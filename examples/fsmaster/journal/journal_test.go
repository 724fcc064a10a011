package journal

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopherwood/examples/fsmaster/core"
)

func create(seq, epoch uint64, path string) core.Record {
	return core.Record{Seq: seq, Epoch: epoch, TimeMs: int64(seq), Op: core.Op{Kind: core.Create, Path: path}}
}

// drain reads what counts, as path@epoch.
func drain(t *testing.T, r *Reader) string {
	t.Helper()
	var all []string
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return strings.Join(all, " ")
		}
		if err != nil {
			t.Fatal(err)
		}
		if rec.Op.Kind == Begin {
			all = append(all, "begin")
			continue
		}
		all = append(all, rec.Op.Path)
	}
}

func open(t *testing.T, dir string, epoch uint64, fencing bool) *Writer {
	t.Helper()
	w, err := OpenWriter(dir, epoch, fencing)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func reader(t *testing.T, dir string, fencing bool) *Reader {
	t.Helper()
	r, err := OpenReader(dir, 0, 0, fencing)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// With fencing a deposed master is told so before it tells anybody, and what it wrote late counts for nobody.
func TestFencing(t *testing.T) {
	dir := t.TempDir()
	old := open(t, dir, 5, true)
	must(t, old.Append([]core.Record{create(1, 5, "/a")}))
	early := reader(t, dir, true) // a standby that reads all along
	if got := drain(t, early); got != "begin /a" {
		t.Errorf("at first the journal is %q", got)
	}
	next := open(t, dir, 9, true)
	if err := old.Append([]core.Record{create(2, 5, "/late")}); !errors.Is(err, ErrFenced) {
		t.Errorf("the deposed master writes: %v", err)
	}
	must(t, next.Append([]core.Record{create(2, 9, "/b")}))
	if got := drain(t, early); got != "begin /b" {
		t.Errorf("then comes %q", got)
	}
	late := reader(t, dir, true)
	if got := drain(t, late); got != "begin /a begin /b" || late.Ignored != 1 {
		t.Errorf("whoever reads from the beginning sees %q, and ignores %d", got, late.Ignored)
	}
	if _, err := OpenWriter(dir, 7, true); !errors.Is(err, ErrFenced) {
		t.Errorf("a master of an earlier epoch takes over: %v", err)
	}
}

// Without it two masters write, and both believe it.
func TestWithoutFencing(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir, 5, false), open(t, dir, 9, false)
	must(t, a.Append([]core.Record{create(1, 5, "/a")}))
	must(t, b.Append([]core.Record{create(2, 9, "/b")}))
	must(t, a.Append([]core.Record{create(2, 5, "/late")}))
	if got := drain(t, reader(t, dir, false)); got != "/a /b /late" {
		t.Errorf("the journal is %q", got)
	}
}

// What a crash left of a record is waited for, and passed over once another master has gone on.
func TestTornRecord(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, 1, true)
	must(t, w.Append([]core.Record{create(1, 1, "/a"), create(2, 1, "/torn")}))
	name := filepath.Join(dir, "journal")
	b, err := os.ReadFile(name)
	must(t, err)
	must(t, os.Truncate(name, int64(len(b)-5)))
	r := reader(t, dir, true)
	if got := drain(t, r); got != "begin /a" {
		t.Errorf("before the torn record: %q", got)
	}
	w = open(t, dir, 2, true)
	must(t, w.Append([]core.Record{create(2, 2, "/b"), create(3, 2, "/"+strings.Repeat("x", 3<<20))}))
	must(t, w.Append([]core.Record{create(4, 2, "/c")}))
	got := drain(t, r)
	if !strings.HasPrefix(got, "begin /b /xxx") || !strings.HasSuffix(got, "x /c") {
		t.Errorf("behind it: %.40q", got)
	}
}

func TestCheckpoint(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, 3, true)
	must(t, w.Append([]core.Record{create(1, 3, "/a"), create(2, 3, "/b")}))
	fs, seq, r, err := Load(dir, true)
	must(t, err)
	for range 3 {
		rec, err := r.Next()
		must(t, err)
		if rec.Op.Kind != Begin {
			fs.Apply(&rec.Op, core.Env{TimeMs: rec.TimeMs, Term: rec.Epoch})
			seq = rec.Seq
		}
	}
	must(t, WriteCheckpoint(dir, fs.View(), r.Offset(), seq, r.Epoch()))
	must(t, w.Append([]core.Record{create(3, 3, "/c")}))
	must(t, r.Close())
	again, seq, r, err := Load(dir, true)
	must(t, err)
	defer r.Close()
	if again.Digest() != fs.Digest() || seq != 2 || r.Epoch() != 3 {
		t.Errorf("the checkpoint has %d inodes at %d of epoch %d", again.Len(), seq, r.Epoch())
	}
	if got := drain(t, r); got != "/c" {
		t.Errorf("behind it is %q", got)
	}
}
