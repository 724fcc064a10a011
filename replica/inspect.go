package replica

import (
	"context"

	"gopherwood/internal/node"
)

// LogEntry is an entry of the log, taken apart for people.
type LogEntry struct {
	Index, Term uint64
	// Kind is "batch"; "empty", raft's own at the beginning of a term; "members", a change of them; or "check", a comparison of digests.
	Kind   string
	TimeMs int64 // that a batch is stamped with
	Bytes  int
	// Members is what a change of members changes.
	Members  string
	Commands []LogCommand
}

// LogCommand is a command as it was proposed. Whether it was applied, or is a repeat that was ignored, depends on what was before.
type LogCommand struct {
	Origin uint64 // who proposed it; see Command
	Number uint64 // in that stream
	Data   []byte
}

// Log is a part of the log.
type Log struct {
	First, Last uint64 // indexes of what this member's log holds
	Entries     []LogEntry
}

// Log reads up to MaxLogEntries entries of this member's log from index on, or from the first one that there is.
func (r *Replica) Log(ctx context.Context, index uint64, limit int) (Log, error) {
	type answer struct {
		log Log
		err error
	}
	limit = max(1, min(limit, MaxLogEntries))
	a, err := ask(ctx, r, func() (a answer) {
		if r.node == nil {
			a.err = errNotFormed
			return a
		}
		var entries []node.Entry
		entries, a.log.First, a.log.Last, a.err = r.node.Log(index, limit)
		for _, e := range entries {
			x := LogEntry{Index: e.Index, Term: e.Term, Kind: string(e.Kind), TimeMs: e.TimeMs, Bytes: e.Bytes, Members: e.Members}
			for _, c := range e.Commands {
				x.Commands = append(x.Commands, LogCommand(c))
			}
			a.log.Entries = append(a.log.Entries, x)
		}
		return a
	})
	if err != nil {
		return Log{}, err
	}
	return a.log, a.err
}
