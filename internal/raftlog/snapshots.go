package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/vfs"
)

const (
	snapSuffix = ".snap"
	badSuffix  = ".bad"
)

// snapshots is the set of committed snapshot files. Any goroutine.
type snapshots struct {
	fs      vfs.FS
	dir     string
	trash   func(names ...string) // has files removed later
	partial atomic.Uint64         // numbers files that are being written

	mu   sync.Mutex
	have []uint64 // indexes, sorted
}

func (s *snapshots) path(index uint64) string { return path.Join(s.dir, seqName(index, snapSuffix)) }

func (s *snapshots) add(index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, found := slices.BinarySearch(s.have, index); !found {
		s.have = slices.Insert(s.have, i, index)
	}
}

func (s *snapshots) drop(index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, found := slices.BinarySearch(s.have, index); found {
		s.have = slices.Delete(s.have, i, i+1)
	}
}

// before returns the newest one that is older than index, 0 if there is none.
func (s *snapshots) before(index uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, _ := slices.BinarySearch(s.have, index)
	if i == 0 {
		return 0
	}
	return s.have[i-1]
}

// keep has those older than index removed, except the newest of them.
func (s *snapshots) keep(index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, _ := slices.BinarySearch(s.have, index)
	for _, old := range s.have[:max(0, i-1)] {
		s.trash(seqName(old, snapSuffix))
	}
	s.have = slices.Delete(s.have, 0, max(0, i-1))
}

// load finds the snapshot that the recovered log goes on from: the newest one that can be read and that the log reaches back to.
func (s *snapshots) load(l *Log) error {
	for _, index := range slices.Backward(slices.Clone(s.have)) {
		if index+1 < l.first {
			break // too old to go on from
		}
		if index > l.terms.last { // received, but the log was never told
			if err := s.forget(index); err != nil {
				return err
			}
			continue
		}
		m, err := s.verify(index)
		if corrupt := (*CorruptError)(nil); errors.As(err, &corrupt) {
			if l.report.FellBack == "" {
				l.report.FellBack = corrupt.File
			}
			if err := s.setAside(index); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if term, _ := l.terms.at(index); m.GetTerm() != term { // likewise
			if err := s.forget(index); err != nil {
				return err
			}
			continue
		}
		l.snapshot = m
		return nil
	}
	if l.first == 1 || l.first == 2 && l.snapshot.GetIndex() == 1 { // the very beginning has no file
		return nil
	}
	return &CorruptError{File: s.path(l.first - 1), Reason: fmt.Sprintf(
		"the log begins after entry %d, and no snapshot at it or later can be read", l.first-1)}
}

func (s *snapshots) verify(index uint64) (*pb.SnapshotMetadata, error) {
	f, err := s.fs.Open(s.path(index))
	if err != nil {
		return nil, fmt.Errorf("raftlog: open snapshot: %w", err)
	}
	defer f.Close()
	m, err := verifySnapshot(f, s.path(index))
	if err == nil && m.GetIndex() != index {
		err = &CorruptError{File: s.path(index), Reason: fmt.Sprintf("it is the snapshot at %d", m.GetIndex())}
	}
	return m, err
}

func (s *snapshots) forget(index uint64) error {
	s.drop(index)
	err := s.fs.Remove(s.path(index))
	if err == nil {
		err = s.fs.SyncDir(s.dir)
	}
	if err != nil {
		return fmt.Errorf("raftlog: remove snapshot that was not installed: %w", err)
	}
	return nil
}

// setAside renames a snapshot that can't be read, for somebody to look at. Only the newest such file is kept.
func (s *snapshots) setAside(index uint64) error {
	s.drop(index)
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, snapSuffix+badSuffix) {
			if err := s.fs.Remove(path.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if err := s.fs.Rename(s.path(index), s.path(index)+badSuffix); err != nil {
		return err
	}
	return s.fs.SyncDir(s.dir)
}
