package core

import (
	"bytes"
	"reflect"
	"testing"
)

func TestOpsSurviveTheirBytes(t *testing.T) {
	all := []Op{
		{}, {Kind: Mkdir, Path: "/a", Parents: true}, {Kind: Rename, Path: "/a", To: "/b", Replace: true}, {Kind: Delete, Path: "/", Recursive: true},
		{Kind: SetAttr, Path: "/x", Mode: mode(0), Owner: "o", Attrs: map[string]string{"b": "1", "a": ""}},
		{Kind: Register, Addr: "w", Size: 1 << 60}, {Kind: AddBlock, Path: "/x", Size: -1}, {Kind: Heartbeat, Worker: 3, Used: 4, Blocks: []uint64{1, 2}},
		{Kind: Lose, Worker: 1, Since: -5, Term: 9}, {Kind: Imported},
		{Kind: Import, Records: []Record{{Seq: 1, TimeMs: 2, Epoch: 3, Op: Op{Kind: Create, Path: "/f"}}, {Seq: 2, TimeMs: -1, Op: Op{Kind: Mkdir, Path: "/g"}}}},
	}
	for _, op := range append(all, randomOps(500)...) {
		var got Op
		if err := got.Decode(op.Append(nil)); err != nil || !reflect.DeepEqual(got, op) {
			t.Errorf("%+v becomes %+v (%v)", op, got, err)
		}
		rec, back := Record{Seq: 7, TimeMs: 8, Epoch: 1 << 62, Op: op}, Record{}
		if err := back.Decode(rec.Append(nil)); err != nil || !reflect.DeepEqual(back, rec) {
			t.Errorf("%+v becomes %+v (%v)", rec, back, err)
		}
	}
}

// Whatever bytes come, decoding ends without a panic, and what it accepts has one form.
func FuzzDecode(f *testing.F) {
	for _, op := range randomOps(20) {
		f.Add(op.Append(nil))
	}
	f.Add((&Op{Kind: Import, Records: []Record{{Seq: 1, Op: Op{Kind: Create, Path: "/f"}}}}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var op, again Op
		if op.Decode(b) != nil {
			return
		}
		once := op.Append(nil)
		if err := again.Decode(once); err != nil || !bytes.Equal(again.Append(nil), once) {
			t.Errorf("%x is read as %+v, which becomes %x and then %+v (%v)", b, op, once, again, err)
		}
	})
}
