package vfs

import (
	"errors"
	"testing"
)

func TestWithErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		rule Rule
		want string // of five writes to "a" and five to "b", by turns: '.' or 'x'
	}{
		{"never", Rule{Ops: OpSync, Err: broken}, ".........."},
		{"the first", Rule{Ops: OpWrite, Err: broken}, "x........."},
		{"the third", Rule{Ops: OpWrite, Nth: 3, Err: broken}, "..x......."},
		{"the third of b", Rule{Ops: OpAny, Path: "b", Nth: 4, Err: broken}, ".....x...."}, // its Create is one
		{"from the third on", Rule{Ops: OpWrite, Nth: 3, Last: -1, Err: broken}, "..xxxxxxxx"},
		{"third to fifth", Rule{Ops: OpChange &^ OpCreate, Nth: 3, Last: 5, Err: broken}, "..xxx....."},
	} {
		e := WithErrors(NewMem(1), &c.rule)
		var files []File
		for _, name := range []string{"a", "b"} {
			f, err := e.Create(name)
			must(t, err)
			files = append(files, f)
		}
		got := ""
		for i := range 10 {
			switch _, err := files[i%2].Write([]byte("1234")); {
			case err == nil:
				got += "."
			case errors.Is(err, broken):
				got += "x"
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if n := e.Count(OpWrite | OpCreate); n != 12 {
			t.Errorf("%s: counted %d", c.name, n)
		}
	}
}

func TestPartialWrite(t *testing.T) {
	broken := errors.New("broken")
	e := WithErrors(NewMem(1))
	f, err := e.Create("a")
	must(t, err)
	e.Add(&Rule{Ops: OpWrite, Err: broken, Written: 3})
	if n, err := f.Write([]byte("12345")); n != 3 || !errors.Is(err, broken) {
		t.Errorf("wrote %d, %v", n, err)
	}
	if got := contents(t, f); got != "123" {
		t.Errorf("the file has %q", got)
	}
	e.Add(&Rule{Ops: OpAny, Last: -1, Err: broken})
	if _, err := e.Open("a"); !errors.Is(err, broken) {
		t.Error(err)
	}
	e.Clear()
	if _, err := e.Open("a"); err != nil {
		t.Error(err)
	}
}
