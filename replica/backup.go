package replica

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/node"
	"gopherwood/internal/peer"
	"gopherwood/internal/raftlog"
	"gopherwood/internal/vfs"
)

// A backup is a line that says what it is, a line of JSON (BackupInfo), and a snapshot file (docs/format/snapshot-file.md), whose every byte is
// verified when it is read.
const backupMagic = "gopherwood backup 1\n"

// BackupInfo says what a backup holds.
type BackupInfo struct {
	Index    uint64    `json:"index"` // of the log, up to which it holds everything
	Term     uint64    `json:"term"`
	Ensemble string    `json:"ensemble"` // whose it is
	Server   uint16    `json:"server"`   // who made it
	Machine  string    `json:"machine"`  // Go type of the state machine
	Time     time.Time `json:"time"`
	Size     int64     `json:"size"` // of the snapshot file in it, bytes
}

// Backup writes a backup of the state as of now, or of a moment later, to w. Any member makes one, a follower best: it writes a snapshot, as it does now and
// then anyway, and copies the file; nothing waits for it.
func (r *Replica) Backup(ctx context.Context, w io.Writer) (BackupInfo, error) {
	if err := r.Snapshot(ctx); err != nil {
		return BackupInfo{}, err
	}
	f, info, err := r.openBackup(ctx)
	if err != nil {
		return BackupInfo{}, err
	}
	defer f.Close()
	head, err := json.Marshal(info)
	if err != nil {
		return BackupInfo{}, fmt.Errorf("replica: backup: %w", err)
	}
	if _, err := w.Write(append(append([]byte(backupMagic), head...), '\n')); err != nil {
		return BackupInfo{}, fmt.Errorf("replica: write the backup: %w", err)
	}
	if _, err := io.Copy(&contextWriter{ctx, w}, io.NewSectionReader(f, 0, info.Size)); err != nil {
		return BackupInfo{}, fmt.Errorf("replica: write the backup: %w", err)
	}
	return info, nil
}

// openBackup opens the newest snapshot file.
func (r *Replica) openBackup(ctx context.Context) (vfs.File, BackupInfo, error) {
	index, err := ask(ctx, r, func() uint64 {
		index, _, _ := r.node.SnapshotStatus()
		return index
	})
	if err != nil {
		return nil, BackupInfo{}, err
	}
	if index <= node.BootstrapIndex {
		return nil, BackupInfo{}, errors.New("replica: there is nothing to back up yet: nothing was ever applied")
	}
	f, err := r.raftlog.OpenSnapshotRaw(index)
	if err != nil {
		return nil, BackupInfo{}, fmt.Errorf("replica: backup: %w", err)
	}
	size, err := f.Size()
	var s *raftlog.SnapshotReader
	if err == nil {
		s, err = raftlog.ReadSnapshot(io.NewSectionReader(f, 0, size), fmt.Sprintf("snapshot %d", index))
	}
	if err != nil {
		return nil, BackupInfo{}, errors.Join(fmt.Errorf("replica: backup: %w", err), f.Close())
	}
	defer s.Close()
	return f, BackupInfo{
		Index: index, Term: s.Meta().GetTerm(), Ensemble: fmt.Sprintf("%016x", r.identity.ClusterID), Server: r.cfg.ServerID,
		Machine: fmt.Sprintf("%T", r.sm), Time: time.Now().UTC().Truncate(time.Millisecond), Size: size,
	}, nil
}

// contextWriter stops writing when ctx ends.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c *contextWriter) Write(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(b)
}

// RestoreConfig says where a backup is restored to. Dir and ServerID are required.
type RestoreConfig struct {
	Dir      string       // an empty directory, or one that is not there
	ServerID uint16       // of the server that will use it
	Logger   *slog.Logger // default slog.Default()
}

// Restore makes a data directory out of a backup, for a server that is not running. What is there then is a new ensemble with the old state, of which this
// server is the only member.
//
// To restore an ensemble of several: stop all of its servers and put their directories aside; Restore to one server; start all, the others with empty
// directories, configured as ever. The others join the restored one, get the state, and become voters as soon as all of them are there.
//
// Indexes, terms and time stamps go on from those of the backup. Servers of the former ensemble are refused: they hold a history that this one left.
func Restore(c RestoreConfig, backup io.Reader) (BackupInfo, error) {
	if c.Dir == "" || c.ServerID == 0 {
		return BackupInfo{}, errors.New("replica: restore: Dir and ServerID are required")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	info, s, err := readBackup(backup)
	if err != nil {
		return BackupInfo{}, err
	}
	defer s.Close()
	fsys := vfs.OS()
	if err := fsys.MkdirAll(c.Dir); err != nil {
		return BackupInfo{}, fmt.Errorf("replica: data directory: %w", err)
	}
	lock, err := fsys.Lock(filepath.Join(c.Dir, lockName), fmt.Sprintf("restore, process %d", os.Getpid()))
	if err != nil {
		return BackupInfo{}, fmt.Errorf("replica: data directory %s is in use: %w", c.Dir, err)
	}
	defer lock.Close()
	if have, err := readIdentity(fsys, c.Dir); err != nil || have != nil {
		return BackupInfo{}, errors.Join(fmt.Errorf("replica: %s holds a server's data; put it aside, and restore to an empty directory", c.Dir), err)
	}
	if err := mustBeEmpty(fsys, c.Dir); err != nil {
		return BackupInfo{}, err
	}
	id, err := newIdentity(c.ServerID)
	if err != nil {
		return BackupInfo{}, err
	}
	id.Bootstrap, id.ClusterID, id.Restored = []uint64{id.RaftID}, clusterOf([]uint64{id.RaftID}), true
	r := &Replica{cfg: Config{Dir: c.Dir, ServerID: c.ServerID, fs: fsys}, log: c.Logger, identity: *id}
	if err := r.refound(s); err != nil {
		return BackupInfo{}, err
	}
	c.Logger.Info("the backup is restored", "dir", c.Dir, "server", c.ServerID, "index", info.Index)
	return info, nil
}

// mustBeEmpty refuses a directory in which there is anything but the lock: to make a new log is to remove what is in its place.
func mustBeEmpty(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return fmt.Errorf("replica: data directory: %w", err)
	}
	for _, name := range names {
		if name != lockName {
			return fmt.Errorf("replica: %s is not empty (%s is in it); restore to an empty directory, or to one that is not there", dir, name)
		}
	}
	return nil
}

// readBackup reads the head of a backup.
func readBackup(backup io.Reader) (info BackupInfo, s *raftlog.SnapshotReader, err error) {
	b := bufio.NewReaderSize(backup, maxBackupHead)
	magic := make([]byte, len(backupMagic))
	if _, err := io.ReadFull(b, magic); err != nil || string(magic) != backupMagic {
		return info, nil, errors.New("replica: this is no backup: it does not begin as one that this version knows")
	}
	head, err := b.ReadSlice('\n')
	if err == nil {
		err = json.Unmarshal(bytes.TrimSpace(head), &info)
	}
	if err != nil {
		return info, nil, fmt.Errorf("replica: the backup's head is damaged: %w", err)
	}
	s, err = raftlog.ReadSnapshot(b, "the backup")
	if err == nil && s.Meta().GetIndex() != info.Index {
		err = errors.Join(fmt.Errorf("its head says index %d, its snapshot is at %d", info.Index, s.Meta().GetIndex()), s.Close())
	}
	if err != nil {
		return info, nil, fmt.Errorf("replica: the backup is damaged: %w", err)
	}
	return info, s, nil
}

// VerifyBackup reads a backup to its end and says what it holds. Every byte of the state in it is verified.
func VerifyBackup(backup io.Reader) (BackupInfo, error) {
	info, s, err := readBackup(backup)
	if err != nil {
		return info, err
	}
	defer s.Close()
	if _, err := io.Copy(io.Discard, s); err != nil {
		return info, fmt.Errorf("replica: the backup is damaged: %w", err)
	}
	return info, nil
}

// refound writes a log that begins with the snapshot, and then the identity, without which it counts for nothing.
func (r *Replica) refound(s *raftlog.SnapshotReader) error {
	if err := r.freshLog(); err != nil {
		return err
	}
	err := r.writeFounding(s)
	if cerr := r.raftlog.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("replica: restore: %w", err)
	}
	return r.identity.write(r.cfg.fs, r.cfg.Dir)
}

func (r *Replica) writeFounding(s *raftlog.SnapshotReader) error {
	state, err := node.ReadState(s)
	if err != nil {
		return err
	}
	meta := &pb.SnapshotMetadata{Index: s.Meta().Index, Term: s.Meta().Term, ConfState: &pb.ConfState{Voters: r.identity.Bootstrap}}
	w, err := r.raftlog.CreateSnapshot(meta)
	if err != nil {
		return err
	}
	if _, err = w.Write(state.Refound(r.identity.RaftID)); err == nil {
		_, err = io.Copy(w, s)
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	if err := w.Commit(); err != nil {
		return err
	}
	first := &raftlog.Record{Snapshot: meta, HardState: &pb.HardState{Term: meta.Term, Vote: new(uint64(0)), Commit: meta.Index}}
	log := r.raftlog.Writer()
	if err := log.Write([]*raftlog.Record{first}); err != nil {
		return err
	}
	if err := log.Sync(); err != nil {
		return err
	}
	r.raftlog.Stable(first)
	return nil
}

// reform makes the servers that were configured voters again, once all of them have joined the one that was restored and leads. A call of
// Reconfigure, or another voter, ends it.
func (r *Replica) reform() {
	if r.shaped || !r.node.Leadership().Mine || len(r.node.ConfState().GetVoters()) > 1 {
		return
	}
	var target []peer.Member
	for _, server := range slices.Sorted(maps.Keys(r.cfg.Peers)) {
		target = append(target, peer.Member{ServerID: server, PeerAddr: r.cfg.Peers[server], Observer: r.cfg.observes(server)})
	}
	if err := r.node.Reconfigure(target); err == nil {
		r.log.Info("all servers have joined the one that was restored; they form the ensemble again", "servers", len(target))
	}
}

// clusterOf is the name of the ensemble that was formed by those incarnations.
func clusterOf(ids []uint64) uint64 {
	h := fnv.New64a()
	for _, id := range ids {
		h.Write(binary.LittleEndian.AppendUint64(nil, id))
	}
	return h.Sum64() | 1
}
