package wire_test

import (
	"bytes"
	"reflect"
	"testing"

	"gopherwood/internal/wire"
)

// fuzz runs checkBytes on one kind of record, from its golden bytes on.
func fuzz[T any](f *testing.F) {
	name := reflect.TypeFor[T]().Name()
	for _, g := range readGolden(f) {
		if g.kind == name {
			f.Add(g.bytes)
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) { checkBytes(t, newRecord[name], frame) })
}

func FuzzConnectRequest(f *testing.F)              { fuzz[wire.ConnectRequest](f) }
func FuzzRequestHeader(f *testing.F)               { fuzz[wire.RequestHeader](f) }
func FuzzCreateRequest(f *testing.F)               { fuzz[wire.CreateRequest](f) }
func FuzzCreateTTLRequest(f *testing.F)            { fuzz[wire.CreateTTLRequest](f) }
func FuzzDeleteRequest(f *testing.F)               { fuzz[wire.DeleteRequest](f) }
func FuzzExistsRequest(f *testing.F)               { fuzz[wire.ExistsRequest](f) }
func FuzzGetDataRequest(f *testing.F)              { fuzz[wire.GetDataRequest](f) }
func FuzzSetDataRequest(f *testing.F)              { fuzz[wire.SetDataRequest](f) }
func FuzzGetACLRequest(f *testing.F)               { fuzz[wire.GetACLRequest](f) }
func FuzzSetACLRequest(f *testing.F)               { fuzz[wire.SetACLRequest](f) }
func FuzzGetChildrenRequest(f *testing.F)          { fuzz[wire.GetChildrenRequest](f) }
func FuzzGetChildren2Request(f *testing.F)         { fuzz[wire.GetChildren2Request](f) }
func FuzzGetAllChildrenNumberRequest(f *testing.F) { fuzz[wire.GetAllChildrenNumberRequest](f) }
func FuzzGetEphemeralsRequest(f *testing.F)        { fuzz[wire.GetEphemeralsRequest](f) }
func FuzzSyncRequest(f *testing.F)                 { fuzz[wire.SyncRequest](f) }
func FuzzCheckVersionRequest(f *testing.F)         { fuzz[wire.CheckVersionRequest](f) }
func FuzzReconfigRequest(f *testing.F)             { fuzz[wire.ReconfigRequest](f) }
func FuzzSetWatches(f *testing.F)                  { fuzz[wire.SetWatches](f) }
func FuzzSetWatches2(f *testing.F)                 { fuzz[wire.SetWatches2](f) }
func FuzzAddWatchRequest(f *testing.F)             { fuzz[wire.AddWatchRequest](f) }
func FuzzCheckWatchesRequest(f *testing.F)         { fuzz[wire.CheckWatchesRequest](f) }
func FuzzRemoveWatchesRequest(f *testing.F)        { fuzz[wire.RemoveWatchesRequest](f) }
func FuzzAuthPacket(f *testing.F)                  { fuzz[wire.AuthPacket](f) }
func FuzzGetSASLRequest(f *testing.F)              { fuzz[wire.GetSASLRequest](f) }
func FuzzMultiRequest(f *testing.F)                { fuzz[wire.MultiRequest](f) }
func FuzzMultiResponse(f *testing.F)               { fuzz[wire.MultiResponse](f) }

// FuzzReply tries one frame on every record: those of replies have no target of their own.
func FuzzReply(f *testing.F) {
	for _, g := range readGolden(f) {
		f.Add(g.bytes)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, make := range newRecord {
			checkBytes(t, make, frame)
		}
	})
}

// FuzzSplitFrame cuts any bytes into frames: all of them together, with their lengths, are the bytes again, and bytes
// that come in two parts give the same frames.
func FuzzSplitFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02ab\x00\x00\x00\x00\x00\x00\x00\x09abc"), 100)
	f.Add([]byte("ruok"), 4)
	f.Add([]byte("\xff\xff\xff\xff"), 0)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		rest := b
		var joined []byte
		for {
			frame, size, err := wire.SplitFrame(rest, limit)
			if err != nil {
				if frame != nil || size != 0 {
					t.Fatalf("frame %x, size %d with %v", frame, size, err)
				}
				break
			}
			if frame == nil {
				if size != 0 && size <= len(rest) {
					t.Fatalf("%d bytes are here, %d wanted", len(rest), size)
				}
				break
			}
			if len(frame) > limit || size != len(frame)+wire.FrameHeaderSize || cap(frame) != len(frame) {
				t.Fatalf("frame of %d bytes, capacity %d, size %d, limit %d", len(frame), cap(frame), size, limit)
			}
			if part, want, err := wire.SplitFrame(rest[:size-1], limit); part != nil || err != nil || want != size && size > wire.FrameHeaderSize {
				t.Fatalf("frame %x, size %d, %v before the last byte of %d", part, want, err, size)
			}
			var mark int
			joined, mark = wire.BeginFrame(joined)
			joined = append(joined, frame...)
			if err := wire.EndFrame(joined, mark); err != nil {
				t.Fatal(err)
			}
			rest = rest[size:]
		}
		if !bytes.Equal(joined, b[:len(b)-len(rest)]) {
			t.Fatalf("\n got %x\nwant %x", joined, b[:len(b)-len(rest)])
		}
	})
}
