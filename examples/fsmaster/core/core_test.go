package core

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// step is an operation and how it ends.
type step struct {
	op   Op
	want Code
}

func mode(m uint32) *uint32 { return &m }

func TestOperations(t *testing.T) {
	long := "/" + strings.Repeat("x", MaxName+1)
	steps := []step{
		{Op{Kind: Mkdir, Path: "/a"}, ""},
		{Op{Kind: Mkdir, Path: "/a"}, Exists},
		{Op{Kind: Mkdir, Path: "/a", Parents: true}, ""},
		{Op{Kind: Mkdir, Path: "/b/c"}, NoEnt},
		{Op{Kind: Mkdir, Path: "/b/c/d", Parents: true, Mode: mode(0o700), Owner: "eve"}, ""},
		{Op{Kind: Mkdir, Path: "a"}, Invalid},
		{Op{Kind: Mkdir, Path: "/a/../b"}, Invalid},
		{Op{Kind: Mkdir, Path: long}, Invalid},
		{Op{Kind: Create, Path: "/"}, Invalid},
		{Op{Kind: Create, Path: "/a/f"}, ""},
		{Op{Kind: Create, Path: "/a/f"}, Exists},
		{Op{Kind: Create, Path: "/a/f/g"}, NotDir},
		{Op{Kind: Mkdir, Path: "/a/f/g", Parents: true}, NotDir},
		{Op{Kind: Create, Path: "/none/g"}, NoEnt},
		{Op{Kind: Rename, Path: "/a/f", To: "/b/c/f"}, ""},
		{Op{Kind: Rename, Path: "/a/f", To: "/b/f"}, NoEnt},
		{Op{Kind: Rename, Path: "/b", To: "/b/c/b"}, Invalid},
		{Op{Kind: Rename, Path: "/b", To: "/b"}, ""},
		{Op{Kind: Rename, Path: "/b", To: "/a/b"}, ""},
		{Op{Kind: Create, Path: "/x"}, ""},
		{Op{Kind: Rename, Path: "/x", To: "/a/b/c/f"}, Exists},
		{Op{Kind: Rename, Path: "/x", To: "/a", Replace: true}, IsDir},
		{Op{Kind: Rename, Path: "/a", To: "/x", Replace: true}, NotDir},
		{Op{Kind: Rename, Path: "/x", To: "/a/b/c/f", Replace: true}, ""},
		{Op{Kind: SetAttr, Path: "/a/b/c/f", Mode: mode(0o600), Owner: "bob", Attrs: map[string]string{"k": "v", "l": "w"}}, ""},
		{Op{Kind: SetAttr, Path: "/a/b/c/f", Attrs: map[string]string{"k": ""}}, ""},
		{Op{Kind: SetAttr, Path: "/none"}, NoEnt},
		{Op{Kind: AddBlock, Path: "/a/b/c/f", Size: 10}, NoWorker},
		{Op{Kind: Register, Addr: "w1:1", Size: 100}, ""},
		{Op{Kind: Register, Addr: "w1:1", Size: 100}, ""},
		{Op{Kind: Register, Addr: "w2:1", Size: 1000}, ""},
		{Op{Kind: Register, Addr: "", Size: 1000}, Invalid},
		{Op{Kind: AddBlock, Path: "/a/b/c/f", Size: 10}, ""},
		{Op{Kind: AddBlock, Path: "/a", Size: 10}, IsDir},
		{Op{Kind: AddBlock, Path: "/a/b/c/f", Size: 5000}, NoWorker},
		{Op{Kind: Heartbeat, Worker: 9}, NoWorker},
		{Op{Kind: Heartbeat, Worker: 1, Used: 50}, ""},
		{Op{Kind: Lose, Worker: 1, Since: 1 << 40, Term: 6}, Stale},
		{Op{Kind: Lose, Worker: 1, Since: 1, Term: 7}, NoWorker},
		{Op{Kind: Lose, Worker: 1, Since: 1 << 40, Term: 7}, ""},
		{Op{Kind: Heartbeat, Worker: 1}, NoWorker},
		{Op{Kind: Mount, Path: "/a", To: "s3://b"}, NotEmpty},
		{Op{Kind: Mkdir, Path: "/m"}, ""},
		{Op{Kind: Mount, Path: "/m", To: "s3://b"}, ""},
		{Op{Kind: Mount, Path: "/m", To: "s3://c"}, Exists},
		{Op{Kind: Delete, Path: "/m"}, Busy},
		{Op{Kind: Unmount, Path: "/m"}, ""},
		{Op{Kind: Unmount, Path: "/m"}, NoEnt},
		{Op{Kind: Delete, Path: "/m"}, ""},
		{Op{Kind: Delete, Path: "/a"}, NotEmpty},
		{Op{Kind: "format"}, Invalid},
	}
	f := New()
	for i, s := range steps {
		before := f.Digest()
		r := f.Apply(&s.op, Env{TimeMs: int64(i + 1), Term: 7})
		if r.Code != s.want {
			t.Errorf("step %d, %+v: %q (%s), want %q", i, s.op, r.Code, r.Detail, s.want)
		}
		if r.Code != "" && f.Digest() != before {
			t.Errorf("step %d, %+v, fails and changes something", i, s.op)
		}
	}
	i, err := f.Stat("/a/b/c/f")
	if err != nil || i.Mode != 0o600 || i.Owner != "bob" || i.Size != 10 || len(i.Blocks) != 1 || fmt.Sprint(i.Blocks[0].Workers) != "[1 2]" || len(i.Attrs) != 1 {
		t.Errorf("the file is %+v, %v", i, err)
	}
	if l, err := f.List("/a/b/c", "", 10); err != nil || len(l) != 2 || l[0].Name != "d" || l[1].Name != "f" {
		t.Errorf("the list is %v, %v", l, err)
	}
	if r := f.Apply(&Op{Kind: Delete, Path: "/a", Recursive: true}, Env{}); r.Count != 5 || f.Len() != 1 {
		t.Errorf("%+v, and %d inodes are left", r, f.Len())
	}
}

// randomOps are operations on a few names, so that they meet.
func randomOps(n int) []Op {
	r := rand.New(rand.NewPCG(1, 2))
	path := func() string {
		var b strings.Builder
		for range 1 + r.IntN(3) {
			fmt.Fprintf(&b, "/%c", 'a'+rune(r.IntN(4)))
		}
		return b.String()
	}
	kinds := []Kind{Mkdir, Mkdir, Create, Create, Rename, Rename, Delete, SetAttr, AddBlock, Register, Heartbeat, Mount, Unmount}
	ops := make([]Op, n)
	for i := range ops {
		ops[i] = Op{Kind: kinds[r.IntN(len(kinds))], Path: path(), To: path(), Recursive: r.IntN(4) == 0, Replace: r.IntN(2) == 0, Owner: "o", Addr: path(), Size: 1 + r.Int64N(100), Worker: 1 + r.Uint64N(5)}
	}
	return ops
}

// model is the same file system as a plain map from paths; an operation's code must be the model's.
func TestAgreesWithAPlainMap(t *testing.T) {
	f := New()
	model := map[string]bool{"/": true} // path: is a directory
	for i, op := range randomOps(20_000) {
		switch op.Kind {
		case Mkdir, Create, Rename, Delete:
		default:
			continue
		}
		got := f.Apply(&op, Env{TimeMs: int64(i)})
		if want := apply(model, &op); (got.Code == "") != want {
			t.Fatalf("operation %d, %+v: %q, the model says %v", i, op, got.Code, want)
		}
		if f.Len() != len(model) {
			t.Fatalf("operation %d, %+v: %d inodes, the model has %d", i, op, f.Len(), len(model))
		}
		for p, dir := range model {
			if n, err := f.Stat(p); i%50 == 0 && (err != nil || n.Dir != dir) {
				t.Fatalf("operation %d: %s is %+v, %v; in the model a directory: %v", i, p, n, err, dir)
			}
		}
	}
}

func parent(p string) string { return p[:max(1, strings.LastIndexByte(p, '/'))] }

func apply(m map[string]bool, op *Op) bool {
	_, there := m[op.Path]
	switch op.Kind {
	case Mkdir, Create:
		if there || !m[parent(op.Path)] {
			return false
		}
		m[op.Path] = op.Kind == Mkdir
	case Delete:
		if !there {
			return false
		}
		var below []string
		for p := range m {
			if strings.HasPrefix(p, op.Path+"/") {
				below = append(below, p)
			}
		}
		if len(below) > 0 && !op.Recursive {
			return false
		}
		for _, p := range append(below, op.Path) {
			delete(m, p)
		}
	case Rename:
		dir, taken := m[op.To]
		switch {
		case !there || !m[parent(op.To)] || m[op.Path] && strings.HasPrefix(op.To+"/", op.Path+"/") && op.To != op.Path:
			return false
		case op.To == op.Path:
			return true
		case taken && (!op.Replace || dir || m[op.Path]):
			return false
		}
		delete(m, op.To)
		moved := map[string]bool{}
		for p, d := range m {
			if p == op.Path || strings.HasPrefix(p, op.Path+"/") {
				moved[p] = d
			}
		}
		for p := range moved {
			delete(m, p)
		}
		for p, d := range moved {
			m[op.To+p[len(op.Path):]] = d
		}
	}
	return true
}

// An import gives the same files, whatever is sent twice or cut into pieces, and refuses to begin in the middle.
func TestImport(t *testing.T) {
	from, to := New(), New()
	var records []Record
	for i, op := range randomOps(3000) {
		rec := Record{Seq: uint64(i + 1), TimeMs: int64(i * 3), Epoch: uint64(1 + i/1000), Op: op}
		from.Apply(&rec.Op, Env{TimeMs: rec.TimeMs, Term: rec.Epoch})
		records = append(records, rec)
	}
	if r := to.Apply(&Op{Kind: Import, Records: records[5:10]}, Env{}); r.Code != Gap {
		t.Errorf("an import that begins with record 6: %+v", r)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for done := 0; done < len(records); {
		begin := max(0, done-r.IntN(50))
		end := min(len(records), begin+1+r.IntN(400))
		res := to.Apply(&Op{Kind: Import, Records: records[begin:end]}, Env{TimeMs: 1, Term: 99})
		done = int(*res.Seq)
		if r := to.Apply(&Op{Kind: Create, Path: "/no"}, Env{}); r.Code != Importing {
			t.Fatalf("in the middle of an import something else is done: %+v", r)
		}
	}
	if from.Digest() != to.Digest() || from.Len() != to.Len() {
		t.Errorf("%d inodes, digest %x; imported %d, %x", from.Len(), from.Digest(), to.Len(), to.Digest())
	}
	to.Apply(&Op{Kind: Imported}, Env{})
	if r := to.Apply(&Op{Kind: Create, Path: "/yes"}, Env{}); r.Code != "" {
		t.Errorf("after the import: %+v", r)
	}
}

func TestDamagedSnapshotsAreRefused(t *testing.T) {
	f := New()
	for i, op := range randomOps(500) {
		f.Apply(&op, Env{TimeMs: int64(i)})
	}
	var b bytes.Buffer
	if _, err := f.View().WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	if again, err := Restore(bytes.NewReader(whole)); err != nil || again.Digest() != f.Digest() {
		t.Fatalf("the whole one: %v", err)
	}
	for n := 0; n < len(whole)-1; n += 97 {
		if _, err := Restore(bytes.NewReader(whole[:n])); err == nil {
			t.Errorf("the first %d bytes of %d are restored", n, len(whole))
		}
	}
	for at := 0; at < len(whole); at += 13 {
		bad := bytes.Clone(whole)
		bad[at] ^= 1
		again, err := Restore(bytes.NewReader(bad))
		if err == nil && again.Digest() != f.Digest() {
			t.Errorf("byte %d changed: restored as something else", at)
		}
	}
}

func BenchmarkCreate(b *testing.B) {
	f := New()
	f.Apply(&Op{Kind: Mkdir, Path: "/d"}, Env{})
	data := (&Op{Kind: Create, Path: "/d/file"}).Append(nil)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		var op Op
		if err := op.Decode(data); err != nil {
			b.Fatal(err)
		}
		op.Path = fmt.Sprintf("/d/file%d", i)
		if r := f.Apply(&op, Env{TimeMs: int64(i)}); r.Code != "" {
			b.Fatal(r)
		}
	}
}
