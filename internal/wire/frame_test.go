package wire_test

import (
	"bytes"
	"errors"
	"testing"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

func TestSplitFrame(t *testing.T) {
	for _, c := range []struct {
		name, in string
		limit    int
		frame    string // "-": none
		size     int
		length   int // of the LengthError; 0: none
	}{
		{"nothing", "", 10, "-", 0, 0},
		{"half a length", "\x00\x00\x00", 10, "-", 0, 0},
		{"length only", "\x00\x00\x00\x03", 10, "-", 7, 0},
		{"a byte short", "\x00\x00\x00\x03ab", 10, "-", 7, 0},
		{"whole", "\x00\x00\x00\x03abc", 10, "abc", 7, 0},
		{"and more", "\x00\x00\x00\x03abcdef", 10, "abc", 7, 0},
		{"empty", "\x00\x00\x00\x00", 10, "", 4, 0},
		{"at the limit", "\x00\x00\x00\x03abc", 3, "abc", 7, 0},
		{"above it", "\x00\x00\x00\x03", 2, "-", 0, 3},
		{"the default's last", "\x00\x0f\xff\xff", wire.DefaultMaxFrame, "-", wire.DefaultMaxFrame + 4, 0},
		{"the default's first too long", "\x00\x10\x00\x00", wire.DefaultMaxFrame, "-", 0, 1 << 20},
		{"negative", "\xff\xff\xff\xff", wire.MaxFrame, "-", 0, -1},
		{"four-letter word", "ruok", wire.DefaultMaxFrame, "-", 0, 0x72756f6b},
	} {
		t.Run(c.name, func(t *testing.T) {
			frame, size, err := wire.SplitFrame([]byte(c.in), c.limit)
			if (frame == nil) != (c.frame == "-") || frame != nil && string(frame) != c.frame || size != c.size {
				t.Errorf("frame %q, size %d", frame, size)
			}
			var e *wire.LengthError
			if errors.As(err, &e) != (c.length != 0) || e != nil && (e.Length != c.length || e.Max != c.limit) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestAppendFrames: whole frames that have a function of their own are those that BeginFrame and EndFrame make.
func TestAppendFrames(t *testing.T) {
	header := wire.ReplyHeader{Xid: 9, Zxid: 1 << 40, Err: zk.ErrNoNode}
	notice := wire.ReplyHeader{Xid: zk.XidNotification, Zxid: 77}
	event := wire.WatcherEvent{Type: zk.EventNodeDeleted, State: zk.StateSyncConnected, Path: "/a/漢"}

	want, mark := wire.BeginFrame([]byte("before"))
	want = header.Append(want)
	if err := wire.EndFrame(want, mark); err != nil {
		t.Fatal(err)
	}
	want, mark = wire.BeginFrame(want)
	want = event.Append(notice.Append(want))
	if err := wire.EndFrame(want, mark); err != nil {
		t.Fatal(err)
	}
	got := wire.AppendHeaderFrame([]byte("before"), &header)
	got = wire.AppendEventFrame(got, 77, &event)
	if !bytes.Equal(got, want) {
		t.Errorf("\n got %x\nwant %x", got, want)
	}
}

// TestVector: names appended one by one, as a server finds them, are the bytes of the record.
func TestVector(t *testing.T) {
	for _, names := range [][]string{{}, {"a"}, {"a", "", "b"}} {
		b, mark := wire.BeginVector([]byte("before"))
		for _, name := range names {
			b = wire.AppendStringBytes(b, []byte(name))
		}
		wire.EndVector(b, mark, len(names))
		r := wire.GetChildrenResponse{Children: names}
		if want := r.Append([]byte("before")); !bytes.Equal(b, want) {
			t.Errorf("%q\n got %x\nwant %x", names, b, want)
		}
	}
}

// TestAppendRefuses: an operation or result that has no form in a multi is the caller's mistake.
func TestAppendRefuses(t *testing.T) {
	for name, f := range map[string]func(){
		"operation": func() { (&wire.Op{Type: zk.OpExists}).Append(nil) },
		"result":    func() { (&wire.MultiResult{Type: zk.OpCreateTTL}).Append(nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
