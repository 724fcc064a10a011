package node

import (
	"fmt"
	"log/slog"
)

// raftLogger lets raft's warnings and errors through and drops the rest unformatted: at Info it reports every
// append (etcd-io/raft#307). Panics stay panics: a broken invariant stops the process.
type raftLogger struct{ log *slog.Logger }

func (raftLogger) Debug(...any)                  {}
func (raftLogger) Debugf(string, ...any)         {}
func (raftLogger) Info(...any)                   {}
func (raftLogger) Infof(string, ...any)          {}
func (l raftLogger) Warning(v ...any)            { l.log.Warn("raft: " + fmt.Sprint(v...)) }
func (l raftLogger) Warningf(f string, v ...any) { l.log.Warn("raft: " + fmt.Sprintf(f, v...)) }
func (l raftLogger) Error(v ...any)              { l.log.Error("raft: " + fmt.Sprint(v...)) }
func (l raftLogger) Errorf(f string, v ...any)   { l.log.Error("raft: " + fmt.Sprintf(f, v...)) }
func (raftLogger) Fatal(v ...any)                { panic("raft: " + fmt.Sprint(v...)) }
func (raftLogger) Fatalf(f string, v ...any)     { panic("raft: " + fmt.Sprintf(f, v...)) }
func (raftLogger) Panic(v ...any)                { panic("raft: " + fmt.Sprint(v...)) }
func (raftLogger) Panicf(f string, v ...any)     { panic("raft: " + fmt.Sprintf(f, v...)) }
