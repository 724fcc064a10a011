package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"gopherwood/internal/node"
	"gopherwood/internal/vfs"
)

// The outcomes of a Waiter and the refusals of Propose and Reconfigure. A *NotSyncedError is another.
var (
	// ErrOutcomeUnknown says that a command may or may not have been applied: whoever waited did not wait long enough, or the state came in a
	// snapshot from the leader, so that the command was applied, but not here, and its result is not known here.
	ErrOutcomeUnknown = node.ErrOutcomeUnknown
	// ErrClosed says that the replica has stopped. A command that was under way may or may not have been applied, or be applied later.
	ErrClosed = node.ErrClosed
	// ErrBusy says that a bound is reached and nothing was taken: the command is not applied, and never will be.
	ErrBusy = node.ErrBusy
	// ErrReconfigInProgress says that an earlier change of members is not complete.
	ErrReconfigInProgress = node.ErrReconfigInProgress
	// ErrNoVoters says that the new ensemble would have nobody who votes.
	ErrNoVoters = node.ErrNoVoters
	// ErrTwice says that the new ensemble names a server twice.
	ErrTwice = node.ErrTwice
)

// NotSyncedError says which servers of a new ensemble are not there, or not up to date.
type NotSyncedError struct{ Servers []uint16 }

// Error names them.
func (e *NotSyncedError) Error() string {
	return fmt.Sprintf("replica: servers %d are not connected and up to date; start them and let them catch up first", e.Servers)
}

// Config describes a member. The zero value of every field but Dir and ServerID works.
type Config struct {
	// Dir is the data directory. One process at a time may use it. Required.
	Dir string
	// ServerID is this server's number in the ensemble, 1 to 65535. Required.
	ServerID uint16
	// Peers are all servers of the ensemble with the addresses that members talk on, this one included. Empty: this server alone.
	Peers map[uint16]string
	// Observers are those of Peers that never vote: they follow, serve reads and pass writes on. A server that is one itself joins an ensemble
	// that others have formed.
	Observers []uint16
	// Listen is the address to accept members on. Default: this server's address in Peers.
	Listen string
	// Listener, if not nil, is used in Listen's place and becomes the replica's to close.
	Listener net.Listener

	// ownPort: Listen has the port that the others know, and so goes with it when a reconfiguration changes that.
	ownPort bool
	// TLS protects the connections between members; nil: they are plain.
	TLS *TLS
	// Tick is the step of logical time. Default 20 ms: an election timeout of 1 to 2 s, heartbeats every 100 ms.
	Tick time.Duration
	// SnapshotBytes is how much log makes a new snapshot; the size of the last one counts too if it is larger. Default 64 MiB.
	SnapshotBytes int64
	// BufferedLog makes the log go through the page cache with an fdatasync per batch, rather than past it.
	BufferedLog bool
	// Observer, if not nil, is told how long the stages of commands take.
	Observer Observer
	// Logger takes what an operator should know. Default slog.Default().
	Logger *slog.Logger

	fs vfs.FS // nil: the operating system's; tests of this package have others
}

func (c *Config) validate() error {
	if c.Dir == "" {
		return errors.New("replica: Dir is required")
	}
	if c.ServerID == 0 {
		return errors.New("replica: ServerID is required, 1 to 65535")
	}
	if _, ok := c.Peers[c.ServerID]; len(c.Peers) > 0 && !ok {
		return fmt.Errorf("replica: Peers lacks this server, %d", c.ServerID)
	}
	for _, o := range c.Observers {
		if _, ok := c.Peers[o]; !ok {
			return fmt.Errorf("replica: Observers has server %d, which Peers lacks", o)
		}
	}
	if len(c.Peers) > 0 && c.voters() == 0 {
		return errors.New("replica: every server is an observer; an ensemble needs one that votes")
	}
	if _, ok := c.Peers[0]; ok {
		return errors.New("replica: Peers has a server 0; ids are 1 to 65535")
	}
	if c.Tick < 0 || c.SnapshotBytes < 0 {
		return fmt.Errorf("replica: Tick %v and SnapshotBytes %d must not be negative", c.Tick, c.SnapshotBytes)
	}
	own := c.Peers[c.ServerID]
	if c.Listen == "" {
		c.Listen = own
	}
	c.ownPort = c.Listener == nil && portOf(c.Listen) == portOf(own)
	if c.Tick == 0 {
		c.Tick = defaultTick
	}
	if c.fs == nil {
		c.fs = vfs.OS()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

// alone says that no other server is expected.
func (c *Config) alone() bool { return len(c.Peers) <= 1 }

// voters is how many servers form the ensemble.
func (c *Config) voters() int { return max(1, len(c.Peers)) - len(c.Observers) }

func (c *Config) observes(server uint16) bool { return slices.Contains(c.Observers, server) }
