package wire_test

import (
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// i32 is the bytes of ints, for writing bad frames down.
func i32(v ...int32) string {
	var b []byte
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, uint32(x))
	}
	return string(b)
}

const path = "\x00\x00\x00\x02/a"

// hostile are frames that lie about a length or count. reason is a part of the error, at the offset of the lie.
var hostile = []struct {
	name, record, frame string
	offset              int
	reason              string
}{
	{"nothing", "GetDataRequest", "", 0, "4 bytes wanted, 0 left"},
	{"half an int", "RequestHeader", "\x00\x00\x00\x01\x00\x00", 4, "4 bytes wanted, 2 left"},
	{"half a long", "ReplyHeader", i32(1, 0), 4, "8 bytes wanted, 4 left"},
	{"half a stat", "ExistsResponse", strings.Repeat("x", wire.StatSize-1), 0, "68 bytes wanted, 67 left"},
	{"string longer than the frame", "GetDataRequest", i32(3) + "/a", 0, "a length of 3 with 2 bytes left"},
	{"longest string", "GetDataRequest", i32(math.MaxInt32) + "/a", 0, "a length of 2147483647"},
	{"negative string", "GetDataRequest", i32(-2) + "/a", 0, "a length of -2"},
	{"most negative string", "SyncRequest", i32(math.MinInt32), 0, "a length of -2147483648"},
	{"path takes the watch flag", "ExistsRequest", i32(3) + "/ab", 7, "1 bytes wanted, 0 left"},
	{"buffer longer than the frame", "SetDataRequest", path + i32(5, 0), 6, "a length of 5 with 4 bytes left"},
	{"longest buffer", "SetDataRequest", path + i32(math.MaxInt32, 0), 6, "a length of 2147483647"},
	{"negative buffer", "SetDataRequest", path + i32(-7, 0), 6, "a length of -7"},
	{"password", "ConnectRequest", i32(0, 0, 0, 30000, 0, 0, 1<<30), 24, "a length of 1073741824"},
	{"credentials", "AuthPacket", i32(0) + path + i32(1<<20), 10, "a length of 1048576"},
	{"more ACLs than fit", "CreateRequest", path + i32(-1, 2) + strings.Repeat("\x00", 23), 10, "a count of 2 elements with 23 bytes left"},
	{"most ACLs", "CreateRequest", path + i32(-1, math.MaxInt32, 0), 10, "a count of 2147483647"},
	{"negative ACLs", "CreateRequest", path + i32(-1, -2, 0), 10, "a count of -2"},
	{"most ACLs of setACL", "SetACLRequest", path + i32(math.MaxInt32, 0), 6, "a count of 2147483647"},
	{"more watches than fit", "SetWatches", i32(0, 0, 1<<20) + strings.Repeat("\x00", 64), 8, "a count of 1048576"},
	{"negative watches", "SetWatches", i32(0, 0, math.MinInt32), 8, "a count of -2147483648"},
	{"most persistent watches", "SetWatches2", i32(0, 0, 0, 0, 0, math.MaxInt32), 20, "a count of 2147483647"},
	{"watch in a believable vector", "SetWatches", i32(0, 0, 2, 9) + path, 12, "a length of 9 with 6 bytes left"},
	{"most children", "GetChildrenResponse", i32(math.MaxInt32) + path, 0, "a count of 2147483647"},
	{"more children than fit", "GetChildrenResponse", i32(2) + strings.Repeat("\x00", 7), 0, "a count of 2 elements with 7 bytes left"},
	{"more identities than fit", "WhoAmIResponse", i32(2) + strings.Repeat("\x00", 15), 0, "a count of 2 elements with 15 bytes left"},
	{"most identities", "WhoAmIResponse", i32(math.MaxInt32) + path, 0, "a count of 2147483647"},
	{"multi without an end", "MultiRequest", i32(13) + "\x00" + i32(-1) + path + i32(-1), 19, "4 bytes wanted, 0 left"},
	{"multi in a multi", "MultiRequest", i32(14) + "\x00" + i32(-1), 9, "operation type 14"},
	{"multi of no operation", "MultiRequest", i32(-1) + "\x00" + i32(-1), 9, "operation type -1"},
	{"read after write", "MultiRequest", i32(2) + "\x00" + i32(-1) + path + i32(-1) + i32(4) + "\x00" + i32(-1) + path + "\x00", 35, "mixes"},
	{"ACLs in a multi", "MultiRequest", i32(1) + "\x00" + i32(-1) + path + i32(-1, math.MaxInt32), 19, "a count of 2147483647"},
	{"result of no operation", "MultiResponse", i32(9) + "\x00" + i32(0), 9, "result type 9"},
}

func TestHostile(t *testing.T) {
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			frame := []byte(c.frame)
			checkBytes(t, newRecord[c.record], frame)
			r := newRecord[c.record]()
			d := wire.NewDecoder(frame)
			r.Decode(&d)
			var e *wire.Error
			if !errors.As(d.Err(), &e) || e.Offset != c.offset || !strings.Contains(e.Reason, c.reason) {
				t.Errorf("%v, want %q at byte %d", d.Err(), c.reason, c.offset)
			}
			if got := allocated(func() { d.Reset(frame); newRecord[c.record]().Decode(&d) }); got > slack+wire.AllocFactor*len(frame) {
				t.Errorf("%d bytes allocated for a frame of %d", got, len(frame))
			}
		})
	}
}

// TestErrorSticks: the first error stays, and nothing is read after it.
func TestErrorSticks(t *testing.T) {
	d := wire.NewDecoder([]byte(i32(-2) + i32(7, 7, 7)))
	if s := d.String(); s != "" || d.Err() == nil {
		t.Fatalf("%q, %v", s, d.Err())
	}
	first := d.Err()
	var s zk.Stat
	d.Stat(&s)
	if d.Bool() || d.Int32() != 0 || d.Int64() != 0 || d.Buffer() != nil || d.String() != "" || s != (zk.Stat{}) ||
		d.Count(1) != 0 || len(d.Strings(nil)) != 0 || len(d.ACLs(nil)) != 0 {
		t.Error("something was read")
	}
	if d.Err() != first || d.Remaining() != 0 {
		t.Errorf("%v, %d bytes left", d.Err(), d.Remaining())
	}
	d.Reset([]byte(i32(5)))
	if d.Int32() != 5 || d.Err() != nil {
		t.Errorf("after Reset: %v", d.Err())
	}
}

// TestAllocationIsBounded decodes the frames that make the most memory out of the fewest bytes, 256 KiB of each. All that
// is allocated on the way counts, garbage too.
func TestAllocationIsBounded(t *testing.T) {
	const size = wire.DefaultMaxFrame / 4
	fill := func(head, unit, tail string) []byte {
		return []byte(head + strings.Repeat(unit, (size-len(head)-len(tail))/len(unit)) + tail)
	}
	end := string(wire.AppendMultiEnd(nil))
	zeros := func(n, elem int) string { return i32(int32(n)) + strings.Repeat("\x00", n*elem) }
	for _, c := range []struct {
		record string
		frame  []byte
	}{
		{"MultiRequest", fill("", i32(int32(zk.OpGetData))+"\x00"+i32(-1)+i32(0)+"\x00", end)},
		{"MultiRequest", fill("", i32(int32(zk.OpDelete))+"\x00"+i32(-1)+i32(0, -1), end)},
		{"MultiRequest", fill("", i32(int32(zk.OpCreate))+"\x00"+i32(-1)+i32(0, -1, 1, 0, 0, 0, 0), end)},
		{"MultiResponse", fill("", i32(int32(zk.OpDelete))+"\x00"+i32(0), end)},
		{"MultiResponse", fill("", i32(int32(zk.OpGetChildren))+"\x00"+i32(0)+i32(1, 0), end)},
		{"SetWatches", []byte(i32(0, 0) + zeros(size/4-8, 4) + i32(0, 0))},
		{"SetACLRequest", []byte(i32(0) + zeros(size/12-2, 12) + i32(0))},
		{"CreateRequest", []byte(i32(0, -1) + zeros(size/12-2, 12) + i32(0))},
		{"GetChildrenResponse", []byte(zeros(size/4-1, 4))},
		{"WhoAmIResponse", []byte(zeros(size/8-1, 8))},
		{"MultiResponse", []byte(strings.Repeat(i32(int32(zk.OpDelete))+"\x00"+i32(0), 1<<14+1) + end)}, // just after the slice grew
	} {
		if len(c.frame) > size {
			t.Fatalf("frame of %d bytes", len(c.frame))
		}
		d := wire.NewDecoder(c.frame)
		got := allocated(func() {
			d.Reset(c.frame)
			newRecord[c.record]().Decode(&d)
		})
		if d.Err() != nil {
			t.Errorf("%s: %v", c.record, d.Err())
		}
		t.Logf("%-20s %5.1f bytes allocated per byte of frame", c.record, float64(got)/float64(len(c.frame)))
		if got > wire.AllocFactor*len(c.frame)+slack {
			t.Errorf("%s: %d bytes allocated for a frame of %d, bound %d times", c.record, got, len(c.frame), wire.AllocFactor)
		}
	}
}

// allocated is how many bytes f allocates: the least of a few runs, since other goroutines are counted as well.
func allocated(f func()) int {
	runs := make([]int, 3)
	for i := range runs {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		runs[i] = int(after.TotalAlloc - before.TotalAlloc)
	}
	return slices.Min(runs)
}
