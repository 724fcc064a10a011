package raftlog

import (
	"errors"
	"fmt"
	"syscall"
)

// ErrNoSpace is matched by what Prepare, Writer.Write and the snapshot writers return when the disk is full. For Write it is the one error that is not
// fatal: nothing was written, and the same records may be written again later.
var ErrNoSpace = errors.New("no space left for the log")

// ErrClosed is returned after Close.
var ErrClosed = errors.New("raftlog: closed")

// CorruptError says that something which was durable cannot be read any more. The server must not vote with this log.
type CorruptError struct {
	File   string // its path
	Offset int64  // in bytes, of what cannot be read
	Reason string // what was found there, or what is missing
}

// Error names the place and the reason.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("raftlog: %s is corrupt at offset %d: %s", e.File, e.Offset, e.Reason)
}

// noSpace makes an error of a full disk match ErrNoSpace.
func noSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}
