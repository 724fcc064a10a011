package client

import (
	"context"
	"errors"
	"fmt"

	"gopherwood/zk"
)

// Errors that do not come from a server.
var (
	// ErrClosed is returned by every call after Close or Detach.
	ErrClosed = errors.New("client: closed")
	// ErrWatchOverflow ends a persistent watch whose events were not received in time (Options.WatchBuffer).
	ErrWatchOverflow = errors.New("client: watch ended: its events were not received in time")
	// ErrWatchRemoved ends a watch that RemoveWatches removed.
	ErrWatchRemoved = errors.New("client: watch removed")
	// ErrNotServing says that a server took the connection and hung up without granting a session: it has no quorum, is still
	// starting, or is behind what this client has seen.
	ErrNotServing = errors.New("the server accepts connections but grants no session (no quorum?)")
)

// Error is an operation that failed. errors.Is finds the protocol's code (zk.ErrNoNode …), ErrClosed, or the context's error in it.
type Error struct {
	Op             string // the operation's name: "get", "create", …
	Path           string // as the caller gave it; "" for operations without one
	Cause          error  // what happened
	OutcomeUnknown bool   // the request may have been carried out, or may yet be; false means that it was not and will not be
}

// Error is the operation, its path and the cause.
func (e *Error) Error() string {
	s := e.Op
	if e.Path != "" {
		s += " " + e.Path
	}
	s += ": " + e.Cause.Error()
	if e.OutcomeUnknown {
		s += " (it may have been carried out)"
	}
	return s
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Cause }

// OutcomeUnknown reports whether err is of a write that may have been carried out although no answer came. An error of which it
// reports false (a refusal by the server, a request never sent) left nothing behind, and the call may be repeated.
func OutcomeUnknown(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.OutcomeUnknown
}

// TxnError is a transaction that failed: nothing of it was carried out.
type TxnError struct {
	Index int // the operation to blame, from 0; -1 if the server did not say
	Op    string
	Path  string
	Code  zk.Code
}

// Error names the operation to blame.
func (e *TxnError) Error() string {
	if e.Index < 0 {
		return e.Code.Error()
	}
	return fmt.Sprintf("operation %d (%s %s): %v", e.Index, e.Op, e.Path, e.Code)
}

// Unwrap is the code.
func (e *TxnError) Unwrap() error { return e.Code }

// ConnectError says why Connect gave up: the last failure at each server, and the context's error if that is what ended it.
type ConnectError struct {
	Servers []string // in the order of the connect string
	Errs    []error  // the last failure at each, nil where none was tried
	Cause   error    // the context's error, or nil
}

// Error is the reason that the most servers gave, in one line.
func (e *ConnectError) Error() string {
	s := "client: cannot connect"
	sep := ": "
	for i, err := range e.Errs {
		if err != nil {
			s += sep + e.Servers[i] + ": " + reason(err)
			sep = "; "
		}
	}
	if e.Cause != nil && sep == ": " {
		s += sep + e.Cause.Error()
	}
	return s
}

// Unwrap is every server's failure and the context's error.
func (e *ConnectError) Unwrap() []error {
	var errs []error
	for _, err := range append(e.Errs[:len(e.Errs):len(e.Errs)], e.Cause) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// reason shortens an error of the net package to what is not known already: the address was printed before it.
func reason(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || errors.Is(err, context.DeadlineExceeded) {
			return err.Error()
		}
		err = inner
	}
}
