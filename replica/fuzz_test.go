package replica

import (
	"path/filepath"
	"reflect"
	"testing"

	"gopherwood/internal/vfs"
)

// FuzzIdentity: an identity file that is taken is one that can be written and read again; any other is refused with an error, never with a panic.
func FuzzIdentity(f *testing.F) {
	f.Add([]byte(`{"format": 1, "raft_id": 4294967297, "cluster_id": 7, "bootstrap": [4294967297, 8589934593], "origin": 281474976710657}`))
	f.Add([]byte(`{"format": 2, "raft_id": 1}`))
	f.Add([]byte(`{"format": 1, "raft_id": -1}`))
	f.Add([]byte(`{"format": 1, "raft_id": 1, "more": true}`))
	f.Add([]byte("\x00\x00\x00\x00"))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := vfs.NewMem(1)
		file, err := fsys.Create(filepath.Join("/", identityFile))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(b); err != nil {
			t.Fatal(err)
		}
		id, err := readIdentity(fsys, "/")
		if err != nil {
			return
		}
		if id == nil || id.Format != identityFormat {
			t.Fatalf("%q is taken as %+v", b, id)
		}
		if err := id.write(fsys, "/"); err != nil {
			t.Fatal(err)
		}
		again, err := readIdentity(fsys, "/")
		if len(id.Bootstrap) == 0 {
			id.Bootstrap = nil // no list and an empty one say the same
		}
		if err != nil || !reflect.DeepEqual(again, id) {
			t.Fatalf("%q became %+v, then %+v, %v", b, id, again, err)
		}
	})
}
