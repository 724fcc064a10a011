package zk_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"gopherwood/zk"

	"pgregory.net/rapid"
)

// judgements reads testdata/paths.txt: what ZooKeeper's PathUtils says of paths, and the ranges of characters that it takes.
func judgements(t *testing.T) (paths map[string][2]bool, ranges [][2]rune) {
	t.Helper()
	text, err := os.ReadFile("testdata/paths.txt")
	if err != nil {
		t.Fatal(err)
	}
	paths = map[string][2]bool{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch f[0] {
		case "path":
			b, _ := hex.DecodeString(strings.TrimPrefix(f[1], "-"))
			paths[string(b)] = [2]bool{f[2] == "true", f[3] == "true"}
		case "chars":
			lo, err1 := strconv.ParseInt(f[1], 16, 32)
			hi, err2 := strconv.ParseInt(f[2], 16, 32)
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			ranges = append(ranges, [2]rune{rune(lo), rune(hi)})
		}
	}
	if len(paths) < 40 || len(ranges) < 3 {
		t.Fatalf("%d paths, %d ranges", len(paths), len(ranges))
	}
	return paths, ranges
}

func TestValidatePath(t *testing.T) {
	paths, _ := judgements(t)
	for path, want := range paths {
		if err := zk.ValidatePath(path); (err == nil) != want[0] {
			t.Errorf("%q: %v, ZooKeeper says %v", path, err, want[0])
		}
		if err := zk.ValidateSequentialPath(path); (err == nil) != want[1] {
			t.Errorf("%q, sequential: %v, ZooKeeper says %v", path, err, want[1])
		}
	}
}

// TestEveryCharacter tries all of Unicode between two letters. A surrogate has no form in UTF-8.
func TestEveryCharacter(t *testing.T) {
	_, ranges := judgements(t)
	for c, i := rune(0), 0; c <= utf8.MaxRune; c++ {
		if utf16.IsSurrogate(c) {
			continue
		}
		for i < len(ranges) && c > ranges[i][1] {
			i++
		}
		want := i < len(ranges) && c >= ranges[i][0]
		if err := zk.ValidatePath("/a" + string(c) + "b"); (err == nil) != want {
			t.Errorf("%U: %v, ZooKeeper says %v", c, err, want)
		}
	}
}

func TestPathError(t *testing.T) {
	for _, c := range []struct {
		path, reason string
		offset       int
	}{
		{"", "no slash at the start", 0},
		{"a", "no slash at the start", 0},
		{"/a/", "empty element", 3},
		{"/a//b", "empty element", 3},
		{"/a/../b", "relative element", 3},
		{"/ab/.", "relative element", 4},
		{"/a\x01", "control character", 2},
		{"/ä\u0080", "character not allowed", 3},
		{"/a\xffb", "character not allowed", 2},
		{"/a\xed\xa0\x80", "character not allowed", 2}, // a surrogate as Java's own encoder writes it
	} {
		err := zk.ValidatePath(c.path)
		var e *zk.PathError
		if !errors.As(err, &e) || e.Path != c.path || e.Reason != c.reason || e.Offset != c.offset {
			t.Errorf("%q: %v, want %q at %d", c.path, err, c.reason, c.offset)
			continue
		}
		if !errors.Is(err, zk.ErrBadArguments) || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%q: %v", c.path, err)
		}
	}
}

func TestParentBaseJoin(t *testing.T) {
	for _, c := range []struct{ path, parent, base string }{
		{"/", "/", ""},
		{"/a", "/", "a"},
		{"/a/b", "/a", "b"},
		{"/a/b/漢", "/a/b", "漢"},
	} {
		if got := zk.Parent(c.path); got != c.parent {
			t.Errorf("parent of %q is %q", c.path, got)
		}
		if got := zk.Base(c.path); got != c.base {
			t.Errorf("base of %q is %q", c.path, got)
		}
		if got := zk.Join(c.parent, c.base); got != c.path {
			t.Errorf("%q and %q make %q", c.parent, c.base, got)
		}
	}
}

func TestAppendSequence(t *testing.T) {
	check := func(n int32) {
		if got, want := string(zk.AppendSequence([]byte("x-"), n)), fmt.Sprintf("x-%010d", n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for _, n := range []int32{0, 1, 9, 10, 123456789, 1234567890, math.MaxInt32, -1, -999999999, -1000000000, math.MinInt32} {
		check(n)
	}
	rapid.Check(t, func(t *rapid.T) { check(rapid.Int32().Draw(t, "n")) })
}

func TestPathsDoNotAllocate(t *testing.T) {
	b := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		if zk.ValidatePath("/app/members/ä/m0000000042") != nil || zk.ValidateSequentialPath("/app/m-") != nil {
			t.Error("not valid")
		}
		_ = zk.Base(zk.Parent("/app/members/m0000000042"))
		b = zk.AppendSequence(b[:0], 42)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzPath holds the rules that follow from each other for any bytes.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/", "/a", "/a/b", "/a/", "/a/.", "/a//b", "/..", "a", "", "/a\xff", "/漢/\u0085"} {
		f.Add(s, "b")
	}
	f.Fuzz(func(t *testing.T, path, name string) {
		err := zk.ValidatePath(path)
		if numbered := zk.ValidatePath(path + "0000000001"); (zk.ValidateSequentialPath(path) == nil) != (numbered == nil) {
			t.Fatalf("%q: sequential and numbered differ: %v", path, numbered)
		}
		if err != nil {
			var e *zk.PathError
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(path) {
				t.Fatalf("%q: %#v", path, err)
			}
			return
		}
		if !utf8.ValidString(path) {
			t.Fatalf("%q is not UTF-8", path)
		}
		if zk.ValidatePath(zk.Parent(path)) != nil {
			t.Fatalf("parent of %q is %q", path, zk.Parent(path))
		}
		if path != zk.Root && zk.Join(zk.Parent(path), zk.Base(path)) != path {
			t.Fatalf("%q is not %q and %q", path, zk.Parent(path), zk.Base(path))
		}
		child := zk.Join(path, name)
		if zk.ValidatePath(child) == nil && !strings.Contains(name, "/") && (zk.Parent(child) != path || zk.Base(child) != name) {
			t.Fatalf("%q comes apart as %q and %q", child, zk.Parent(child), zk.Base(child))
		}
	})
}

func BenchmarkValidatePath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if zk.ValidatePath("/app/members/m0000000042") != nil {
			b.Fatal("not valid")
		}
	}
}
