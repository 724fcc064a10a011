package replica

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"gopherwood/internal/node"
	"gopherwood/internal/vfs"
)

// lockName is the file in the data directory that says who uses it.
const lockName = "LOCK"

// identity is who the owner of a data directory is: the file "identity" (docs/format/identity.md), replaced whole.
type identity struct {
	Format    int      `json:"format"`
	RaftID    uint64   `json:"raft_id"`
	ClusterID uint64   `json:"cluster_id"`          // 0 until the ensemble is formed or joined
	Bootstrap []uint64 `json:"bootstrap,omitempty"` // raft ids of the ensemble as it was formed; none for a member that joined
	Origin    uint64   `json:"origin"`              // of the last start
	Restored  bool     `json:"restored,omitempty"`  // it founded its ensemble alone, out of a backup, for the others to join
}

const (
	identityFormat = 1
	identityFile   = "identity"
	maxIdentity    = 64 << 10
)

func (id *identity) formed() bool { return id.ClusterID != 0 }

// readIdentity reads the file; nil without an error when there is none.
func readIdentity(fsys vfs.FS, dir string) (*identity, error) {
	f, err := fsys.Open(filepath.Join(dir, identityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("replica: open identity: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxIdentity))
	if err != nil {
		return nil, fmt.Errorf("replica: read identity: %w", err)
	}
	var id identity
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&id); err != nil {
		return nil, fmt.Errorf("replica: %s is damaged (%w); if this server's data is lost, empty the directory and it will join anew", filepath.Join(dir, identityFile), err)
	}
	if id.Format != identityFormat {
		return nil, fmt.Errorf("replica: %s has format %d, this version knows %d; use the version that wrote it or a newer one", filepath.Join(dir, identityFile), id.Format, identityFormat)
	}
	return &id, nil
}

// write replaces the file: the new one is durable under another name before it takes the place of the old one.
func (id *identity) write(fsys vfs.FS, dir string) error {
	id.Format = identityFormat
	b, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return fmt.Errorf("replica: encode identity: %w", err)
	}
	name, tmp := filepath.Join(dir, identityFile), filepath.Join(dir, identityFile+".tmp")
	f, err := fsys.Create(tmp)
	if err != nil {
		return fmt.Errorf("replica: write identity: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(tmp, name)
	}
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("replica: write identity: %w", err)
	}
	return nil
}

// newOrigin names the origin stream of a start: by the clock, and in any case after the last one.
func (id *identity) newOrigin(nowMs int64) {
	id.Origin = max(node.MakeID(node.ServerOf(id.RaftID), uint64(nowMs)), id.Origin+1)
}
