package wire_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"gopherwood/internal/wire"
	"gopherwood/zk"

	"pgregory.net/rapid"
)

// record is what every record of the package is.
type record interface {
	Append(b []byte) []byte
	Decode(d *wire.Decoder)
}

// newRecord makes an empty record of each kind, by its name in the golden file.
var newRecord = map[string]func() record{}

func register[T any, P interface {
	*T
	record
}]() {
	newRecord[reflect.TypeFor[T]().Name()] = func() record { return P(new(T)) }
}

func init() {
	register[wire.RequestHeader]()
	register[wire.ReplyHeader]()
	register[wire.ErrorResponse]()
	register[wire.ConnectRequest]()
	register[wire.ConnectResponse]()
	register[wire.CreateRequest]()
	register[wire.CreateTTLRequest]()
	register[wire.CreateResponse]()
	register[wire.Create2Response]()
	register[wire.DeleteRequest]()
	register[wire.ExistsRequest]()
	register[wire.ExistsResponse]()
	register[wire.GetDataRequest]()
	register[wire.GetDataResponse]()
	register[wire.SetDataRequest]()
	register[wire.SetDataResponse]()
	register[wire.GetACLRequest]()
	register[wire.GetACLResponse]()
	register[wire.SetACLRequest]()
	register[wire.SetACLResponse]()
	register[wire.GetChildrenRequest]()
	register[wire.GetChildrenResponse]()
	register[wire.GetChildren2Request]()
	register[wire.GetChildren2Response]()
	register[wire.GetAllChildrenNumberRequest]()
	register[wire.GetAllChildrenNumberResponse]()
	register[wire.GetEphemeralsRequest]()
	register[wire.GetEphemeralsResponse]()
	register[wire.SyncRequest]()
	register[wire.SyncResponse]()
	register[wire.CheckVersionRequest]()
	register[wire.ReconfigRequest]()
	register[wire.SetWatches]()
	register[wire.SetWatches2]()
	register[wire.AddWatchRequest]()
	register[wire.CheckWatchesRequest]()
	register[wire.RemoveWatchesRequest]()
	register[wire.WatcherEvent]()
	register[wire.AuthPacket]()
	register[wire.WhoAmIResponse]()
	register[wire.GetSASLRequest]()
	register[wire.SetSASLResponse]()
	register[wire.MultiHeader]()
	register[wire.MultiRequest]()
	register[wire.MultiResponse]()
}

// draw fills the value that v points to with anything that survives its encoding. Going by reflection, it misses no field.
func draw(t *rapid.T, v reflect.Value, name string) {
	switch p := v.Addr().Interface().(type) {
	case *[]byte:
		*p = drawSlice(t, rapid.Byte(), name)
		return
	case *wire.Op:
		drawOp(t, p)
		return
	case *wire.MultiResult:
		drawResult(t, p)
		return
	case *[]wire.Op: // never null, and of one kind
		*p = (*p)[:0]
		for range rapid.IntRange(0, 5).Draw(t, name) {
			var o wire.Op
			drawOp(t, &o)
			if len(*p) == 0 || o.IsRead() == (*p)[0].IsRead() {
				*p = append(*p, o)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, name))
	case reflect.Int32:
		v.SetInt(int64(rapid.Int32().Draw(t, name)))
	case reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, name))
	case reflect.String:
		v.SetString(drawString(t, name))
	case reflect.Slice:
		n := rapid.IntRange(-1, 5).Draw(t, name)
		if n < 0 && v.Type().Elem() != reflect.TypeFor[wire.MultiResult]() {
			v.SetZero()
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), max(n, 0), max(n, 0)))
		for i := range max(n, 0) {
			draw(t, v.Index(i), name)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			draw(t, v.Field(i), v.Type().Field(i).Name)
		}
		if has := v.FieldByName("HasReadOnly"); has.IsValid() && !has.Bool() {
			v.FieldByName("ReadOnly").SetBool(false)
		}
	default:
		panic("no generator for " + v.Type().String())
	}
}

func drawString(t *rapid.T, name string) string {
	return rapid.OneOf(rapid.StringMatching(`(/[a-z0-9]{1,8}){0,4}`), rapid.String()).Draw(t, name)
}

func drawSlice[T any](t *rapid.T, elem *rapid.Generator[T], name string) []T {
	if rapid.Bool().Draw(t, name+" is null") {
		return nil
	}
	s := rapid.SliceOfN(elem, 0, 40).Draw(t, name)
	if s == nil {
		s = []T{}
	}
	return s
}

func drawOp(t *rapid.T, o *wire.Op) {
	*o = wire.Op{Path: drawString(t, "path"), Type: rapid.SampledFrom([]zk.OpCode{zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer,
		zk.OpCreateTTL, zk.OpDelete, zk.OpCheck, zk.OpSetData, zk.OpGetData, zk.OpGetChildren}).Draw(t, "op")}
	switch o.Type {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		draw(t, reflect.ValueOf(&o.Data).Elem(), "data")
		draw(t, reflect.ValueOf(&o.ACL).Elem(), "acl")
		o.Flags = zk.CreateMode(rapid.Int32().Draw(t, "flags"))
		if o.Type == zk.OpCreateTTL {
			o.TTL = rapid.Int64().Draw(t, "ttl")
		}
	case zk.OpSetData:
		draw(t, reflect.ValueOf(&o.Data).Elem(), "data")
		o.Version = rapid.Int32().Draw(t, "version")
	case zk.OpDelete, zk.OpCheck:
		o.Version = rapid.Int32().Draw(t, "version")
	}
}

func drawResult(t *rapid.T, m *wire.MultiResult) {
	*m = wire.MultiResult{Type: rapid.SampledFrom([]zk.OpCode{zk.OpCreate, zk.OpCreate2, zk.OpDelete, zk.OpCheck, zk.OpSetData,
		zk.OpGetData, zk.OpGetChildren, zk.OpError}).Draw(t, "op")}
	switch m.Type {
	case zk.OpCreate, zk.OpCreate2:
		m.Path = drawString(t, "path")
	case zk.OpGetData:
		draw(t, reflect.ValueOf(&m.Data).Elem(), "data")
	case zk.OpGetChildren:
		draw(t, reflect.ValueOf(&m.Children).Elem(), "children")
	case zk.OpError:
		m.Err = zk.Code(rapid.Int32().Draw(t, "err"))
	}
	switch m.Type {
	case zk.OpCreate2, zk.OpSetData, zk.OpGetData:
		draw(t, reflect.ValueOf(&m.Stat).Elem(), "stat")
	}
}

// footprint is the memory behind v in bytes, counted by the capacity of its slices. It fails for a string or buffer that
// is not part of frame.
func footprint(t testing.TB, v reflect.Value, frame []byte) int {
	size := 0
	switch v.Kind() {
	case reflect.Pointer:
		return footprint(t, v.Elem(), frame)
	case reflect.String:
		s := v.String()
		mustAlias(t, unsafe.Slice(unsafe.StringData(s), len(s)), frame)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			mustAlias(t, v.Bytes(), frame)
			if v.Cap() != v.Len() {
				t.Errorf("%q has room for %d bytes: appending to it writes into the next field", v.Bytes(), v.Cap())
			}
			return 0
		}
		size = v.Cap() * int(v.Type().Elem().Size())
		for i := range v.Len() {
			size += footprint(t, v.Index(i), frame)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			size += footprint(t, v.Field(i), frame)
		}
	}
	return size
}

func mustAlias(t testing.TB, b, frame []byte) {
	if len(b) == 0 {
		return
	}
	p, lo := uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(unsafe.Pointer(unsafe.SliceData(frame)))
	if p < lo || p+uintptr(len(b)) > lo+uintptr(len(frame)) {
		t.Errorf("%q is no part of the frame", b)
	}
}

// TestEveryRecordIsItself: decode(append(v)) = v, into a fresh record and into one that was used before; what follows the
// record is left alone; every record cut short is an error.
func TestEveryRecordIsItself(t *testing.T) {
	for name, make := range newRecord {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			want, used := make(), make()
			draw(t, reflect.ValueOf(want).Elem(), name)
			draw(t, reflect.ValueOf(used).Elem(), "used")
			prefix := []byte("before")
			whole := want.Append(prefix)
			if !bytes.HasPrefix(whole, prefix) {
				t.Fatalf("append overwrote what was there: %x", whole)
			}
			b := whole[len(prefix):]
			tail := rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "tail")
			if strings.HasPrefix(name, "Connect") {
				tail = nil // a longer frame means a field more
			}
			for _, got := range []record{make(), used} {
				d := wire.NewDecoder(append(bytes.Clone(b), tail...))
				got.Decode(&d)
				if err := d.Err(); err != nil {
					t.Fatalf("%x: %v", b, err)
				}
				if d.Remaining() != len(tail) || d.Offset() != len(b) {
					t.Fatalf("%d of %d bytes read", d.Offset(), len(b))
				}
				if !equal(got, want) {
					t.Fatalf("%x\n got %+v\nwant %+v", b, got, want)
				}
			}
			cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
			d := wire.NewDecoder(b[:cut])
			make().Decode(&d)
			if d.Err() == nil && !endsBeforeReadOnly(want, cut, len(b)) {
				t.Fatalf("%d of %d bytes were taken for the whole", cut, len(b))
			}
			if d.Err() != nil && d.Remaining() != 0 {
				t.Fatalf("%d bytes to read after an error", d.Remaining())
			}
		}))
	}
}

// endsBeforeReadOnly says whether cutting the handshake to cut bytes makes an old client's of it.
func endsBeforeReadOnly(r record, cut, whole int) bool {
	switch r := r.(type) {
	case *wire.ConnectRequest:
		return r.HasReadOnly && cut == whole-1
	case *wire.ConnectResponse:
		return r.HasReadOnly && cut == whole-1
	}
	return false
}

// equal compares all fields; nil and empty are the same only in a multi, whose list has no count that could be null.
func equal(a, b record) bool {
	switch a := a.(type) {
	case *wire.MultiRequest:
		b := b.(*wire.MultiRequest)
		return len(a.Ops)+len(b.Ops) == 0 || reflect.DeepEqual(a, b)
	case *wire.MultiResponse:
		b := b.(*wire.MultiResponse)
		return len(a.Results)+len(b.Results) == 0 || reflect.DeepEqual(a, b)
	}
	return reflect.DeepEqual(a, b)
}

// checkBytes is the property of the fuzz targets: any bytes are decoded without panic, within bounds, and what was decoded
// is encoded as it was, but for the spellings that mean the same.
func checkBytes(t testing.TB, make func() record, frame []byte) {
	r := make()
	d := wire.NewDecoder(frame)
	r.Decode(&d)
	if n, bound := footprint(t, reflect.ValueOf(r), frame), wire.AllocFactor*len(frame)+slack; n > bound {
		t.Fatalf("%d bytes of frame made %d bytes of memory, bound %d", len(frame), n, bound)
	}
	if d.Err() != nil {
		if d.Remaining() != 0 {
			t.Fatalf("%d bytes to read after %v", d.Remaining(), d.Err())
		}
		return
	}
	raw, enc := frame[:d.Offset()], r.Append(nil)
	if len(raw) != len(enc) {
		t.Fatalf("%d bytes decoded, %d encoded\n%x\n%x", len(raw), len(enc), raw, enc)
	}
	switch r.(type) {
	case *wire.MultiRequest, *wire.MultiResponse: // headers have fields without a meaning
	default:
		if i := differs(raw, enc); i >= 0 {
			t.Fatalf("not the same from byte %d\n%x\n%x", i, raw, enc)
		}
	}
	again := make()
	d.Reset(enc)
	again.Decode(&d)
	if d.Err() != nil || !equal(r, again) {
		t.Fatalf("%v\n got %+v\nwant %+v", d.Err(), again, r)
	}
}

// slack is what decoding may allocate however small the frame: an error and a first few elements of a multi.
const slack = 2048

// differs is where enc stops being a spelling of raw, or -1: a true may have been any byte but 0, an empty string null.
func differs(raw, enc []byte) int {
	for i := 0; i < len(raw); i++ {
		switch {
		case raw[i] == enc[i], raw[i] > 1 && enc[i] == 1:
		case bytes.HasPrefix(raw[i:], []byte{0xff, 0xff, 0xff, 0xff}) && bytes.HasPrefix(enc[i:], []byte{0, 0, 0, 0}):
			i += 3
		default:
			return i
		}
	}
	return -1
}

func ExampleDecoder() {
	request := wire.GetDataRequest{Path: "/app/config", Watch: true}
	header := wire.RequestHeader{Xid: 7, Type: zk.OpGetData}
	b, mark := wire.BeginFrame(nil)
	b = request.Append(header.Append(b))
	if err := wire.EndFrame(b, mark); err != nil {
		panic(err)
	}

	frame, size, err := wire.SplitFrame(b, wire.DefaultMaxFrame)
	if err != nil || frame == nil {
		panic("not a whole frame")
	}
	var (
		h wire.RequestHeader
		r wire.GetDataRequest
	)
	d := wire.NewDecoder(frame)
	h.Decode(&d)
	r.Decode(&d)
	fmt.Println(size, h, r, d.Err())
	// Output: 28 {7 4} {/app/config true} <nil>
}
