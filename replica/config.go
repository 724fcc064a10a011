package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"gopherwood/internal/node"
	"gopherwood/internal/peer"
	"gopherwood/internal/vfs"
)

// The state machine's side of the contract is declared where the stepped core needs it.
type (
	// StateMachine is what is replicated; see its methods.
	StateMachine = node.StateMachine
	// View is a point-in-time picture of a state machine.
	View = node.View
	// Command is one command, as Apply gets it.
	Command = node.Command
	// Waiter is told the outcome of a command or barrier on the loop goroutine.
	Waiter = node.Waiter
	// Batcher, LeaderObserver, Ticker, MessageHandler and Digester are what a state machine may also implement.
	Batcher        = node.Batcher
	LeaderObserver = node.LeaderObserver
	Ticker         = node.Ticker
	MessageHandler = node.MessageHandler
	Digester       = node.Digester
	// MembersObserver is what a state machine implements to hear of the members.
	MembersObserver = node.MembersObserver
	// Member is a member of the ensemble.
	Member = peer.Member
	// Leadership says who leads.
	Leadership = node.Leadership
	// MemberStatus is what is known of a member.
	MemberStatus = node.MemberStatus
)

// The outcomes of a Waiter and the refusals of Propose.
var (
	ErrOutcomeUnknown = node.ErrOutcomeUnknown
	ErrClosed         = node.ErrClosed
	ErrBusy           = node.ErrBusy

	// The refusals of Reconfigure; a *NotSyncedError is another.
	ErrNotLeader          = node.ErrNotLeader
	ErrReconfigInProgress = node.ErrReconfigInProgress
)

// NotSyncedError says which servers of a new ensemble are not there, or not up to date.
type NotSyncedError = node.NotSyncedError

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
	TLS *peer.TLS
	// Tick is the step of logical time. Default 20 ms: an election timeout of 1 to 2 s, heartbeats every 100 ms.
	Tick time.Duration
	// SnapshotBytes is how much log makes a new snapshot; the size of the last one counts too if it is larger. Default 64 MiB.
	SnapshotBytes int64
	// BufferedLog makes the log go through the page cache with an fdatasync per batch, rather than past it.
	BufferedLog bool
	// Observer, if not nil, is told how long the stages of commands take.
	Observer Observer
	// FS is the filesystem. Default: the operating system's.
	FS vfs.FS
	// Logger takes what an operator should know. Default slog.Default().
	Logger *slog.Logger
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
	if c.FS == nil {
		c.FS = vfs.OS()
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
