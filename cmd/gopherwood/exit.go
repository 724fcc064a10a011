package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"gopherwood/client"
	"gopherwood/replica/admin"
	"gopherwood/zk"
)

// The exit codes that a script can rely on.
const (
	exitOK         = 0
	exitOther      = 1
	exitUsage      = 2
	exitNoNode     = 3
	exitExists     = 4
	exitNoAuth     = 5
	exitBadVersion = 6
	exitNotEmpty   = 7
	exitNoServer   = 8
	exitNotLeader  = 9  // cluster: none of the servers that were asked leads
	exitRefused    = 10 // cluster: the ensemble refuses it as things stand
	exitUnhealthy  = 11 // cluster doctor: something is wrong
)

// exitCodesHelp ends the help of every command that talks to a server.
const exitCodesHelp = `Exit codes: 0 done, 1 any other failure, 2 wrong usage, 3 no such node, 4 the node exists, 5 not authorised, 6 the version differs,
7 the node has children, 8 cannot connect, no quorum, or no answer in time.`

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitCode is the process's exit code for the error of a command.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	for _, c := range []struct {
		is   error
		code int
	}{
		{zk.ErrNoNode, exitNoNode},
		{zk.ErrNodeExists, exitExists},
		{zk.ErrNoAuth, exitNoAuth},
		{zk.ErrAuthFailed, exitNoAuth},
		{zk.ErrBadVersion, exitBadVersion},
		{zk.ErrNotEmpty, exitNotEmpty},
		{zk.ErrBadArguments, exitUsage},
		{zk.ErrConnectionLoss, exitNoServer},
		{zk.ErrSessionExpired, exitNoServer},
		{context.DeadlineExceeded, exitNoServer},
		{errNoQuorum, exitNoServer},
		{errUnhealthy, exitUnhealthy},
	} {
		if errors.Is(err, c.is) {
			return c.code
		}
	}
	if _, ok := errors.AsType[*client.ConnectError](err); ok {
		return exitNoServer
	}
	if e, ok := errors.AsType[*admin.Error](err); ok {
		return adminExitCode(e)
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return exitNoServer
	}
	return exitOther
}

// explain is the error in one line for the person at the terminal: without the names of our packages, and with the words that help.
func explain(err error) string {
	s := err.Error()
	if e, ok := errors.AsType[*client.Error](err); ok && errors.Is(err, context.DeadlineExceeded) {
		s = strings.Replace(s, e.Cause.Error(), "no answer in time (no quorum?)", 1)
	}
	for _, prefix := range []string{"client: ", "zk: ", "bench: ", "admin: ", "replica: ", "raftlog: "} {
		s = strings.ReplaceAll(s, prefix, "")
	}
	return strings.Join(strings.Fields(s), " ")
}
