package server

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gopherwood/internal/audit"
	"gopherwood/internal/session"
	"gopherwood/internal/watch"
	"gopherwood/internal/wire"
)

// Member is a server of the ensemble as its configuration names it.
type Member struct {
	ID         uint64
	PeerAddr   string // "host:port" on which the members talk to each other
	ElectPort  string // second port of a server.N line, shown to clients and used for nothing; "" makes one up
	ClientAddr string // "host:port" for clients; "" if the member has to say it
	Observer   bool
}

// Config is what a server has to know. A zero field means its default; NewServer copies it.
type Config struct {
	ID      uint64   // server id, 1 to 255: the high byte of the session ids that it gives out
	Members []Member // the configured ensemble; empty for a server that is alone

	TickMs              int64 // tickTime; 0: 2000
	MinSessionTimeoutMs int32 // 0: two ticks
	MaxSessionTimeoutMs int32 // 0: twenty ticks
	InitLimit           int   // shown by conf; means nothing here
	SyncLimit           int   // likewise

	MaxFrame         int           // longest request (jute.maxbuffer); 0: wire.DefaultMaxFrame
	MaxConns         int           // 0: DefaultMaxConns
	MaxConnsPerIP    int           // maxClientCnxns; 0: no limit
	MaxOutstanding   int           // 0: DefaultMaxOutstanding
	MaxOutBytes      int           // 0: DefaultMaxOutBytes
	MaxOutTotal      int64         // 0: DefaultMaxOutTotal
	MaxInTotal       int64         // 0: DefaultMaxInTotal
	MaxReplyBytes    int           // 0: DefaultMaxReplyBytes
	Watches          watch.Options // bounds of the watch table
	HandshakeTimeout time.Duration // 0: DefaultHandshakeTimeout
	WriteTimeout     time.Duration // 0: DefaultWriteTimeout
	ElectionGrace    time.Duration // 0: DefaultElectionGrace
	ReapInterval     time.Duration // 0: DefaultReapInterval
	MaxReap          int           // container and TTL nodes that one look deletes (znode.container.maxPerMinute); 0: DefaultMaxReap
	ReconfigTimeout  time.Duration // 0: DefaultReconfigTimeout

	ReadOnly          bool // serve clients that are content with reading while there is no majority (readonlymode.enabled)
	LocalSessions     bool // new sessions are known to this server alone (localSessionsEnabled)
	LocalUpgrade      bool // and become like any other with their first ephemeral node (localSessionsUpgradingEnabled)
	LinearizableReads bool // every read waits until this server has caught up with what was acknowledged before it came

	Reconfig      bool // clients may change the ensemble (reconfigEnabled)
	StandaloneOff bool // a reconfig may leave one voter alone (standaloneEnabled=false)

	FourLetterWords []string // allowed commands, "*" for all; nil: DefaultFourLetterWords. srvr is always allowed
	SuperDigest     string   // "user:base64" that makes its user a super user; "" none
	X509SuperUser   string   // distinguished name that makes who has its certificate a super user; "" none

	// ClientMoved is told, on the loop goroutine, where clients reach this server after a reconfig has said so, also at the start. Nil: nobody is.
	ClientMoved func(addr string)

	SecureClientAddr string     // "host:port" for clients with TLS, shown by conf; "" none
	MaxTLSHandshakes int        // handshakes at a time; more are turned away (netty.server.outstandingHandshake.limit). 0: no limit
	Security         Security   // who clients are
	Audit            *audit.Log // who has changed what; nil: nobody asks. The caller closes it after the server
	Throttle         Throttle   // how much they may do at a time

	// EnforceQuota makes the writes of this server's clients fail that would exceed a hard quota (enforceQuota).
	EnforceQuota bool

	ClientAddr string // "host:port" where clients reach this server, announced to the ensemble; "" is not announced
	DataDir    string // shown by conf and dirs
	Version    string // of this program, shown by srvr and envi; "" is "dev"

	Unobserved  bool          // no times of stages and operations, no top talkers, no slow log
	SlowRequest time.Duration // requests that take so long are logged; 0: none
	TopDepth    int           // elements of a path that top talkers go by (pathStats.maxDepth); 0: DefaultTopDepth

	EnsembleNames []string // a client that proves "ensemble" must name one of them (ensembleAuthName); empty: there is no such scheme
	ForwardedFor  bool     // the admin port takes a client's address from X-Forwarded-For (IPAuthenticationProvider.usexforwardedfor)

	CommandURL      string        // path of the admin port's commands (admin.commandURL); "": /commands
	AdminInterval   time.Duration // shortest time between two snapshots over the admin port; 0: DefaultAdminInterval
	NoAdminSnapshot bool          // the admin port's snapshot is switched off
	NoRuntimeStats  bool          // /metrics leaves the process and its runtime out (metricsProvider.exportJvmInfo)
	NoAdminRestore  bool          // its restore says that it is switched off
	ConfigText      string        // the configuration file, shown by initial_configuration without its secrets; "" there was none

	DirBytes func() int64 // size of DataDir, for conf and dirs; nil: 0
	Log      *slog.Logger // nil: slog.Default()

	// Runtime is what the server has of goroutines and time; nil: Go's own. A simulation brings another.
	Runtime Runtime

	// Manual leaves out the goroutine that calls Housekeep, for tests that call it themselves.
	Manual bool
}

// DefaultFourLetterWords are answered unless 4lw.commands.whitelist says otherwise. (ZooKeeper's own default is srvr alone.)
var DefaultFourLetterWords = []string{"ruok", "srvr", "stat", "mntr", "conf", "cons", "isro", "envi", "dirs", "wchs"}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	def(&c.TickMs, session.DefaultTickMs)
	def(&c.MinSessionTimeoutMs, int32(2*c.TickMs))
	def(&c.MaxSessionTimeoutMs, int32(20*c.TickMs))
	def(&c.MaxFrame, wire.DefaultMaxFrame)
	def(&c.MaxConns, DefaultMaxConns)
	def(&c.MaxOutstanding, DefaultMaxOutstanding)
	def(&c.MaxOutBytes, DefaultMaxOutBytes)
	def(&c.MaxOutTotal, DefaultMaxOutTotal)
	def(&c.MaxInTotal, DefaultMaxInTotal)
	def(&c.MaxReplyBytes, DefaultMaxReplyBytes)
	def(&c.HandshakeTimeout, DefaultHandshakeTimeout)
	def(&c.WriteTimeout, DefaultWriteTimeout)
	def(&c.ElectionGrace, DefaultElectionGrace)
	def(&c.ReapInterval, DefaultReapInterval)
	def(&c.MaxReap, DefaultMaxReap)
	def(&c.TopDepth, DefaultTopDepth)
	def(&c.CommandURL, "/commands")
	def(&c.AdminInterval, DefaultAdminInterval)
	def(&c.ReconfigTimeout, DefaultReconfigTimeout)
	def(&c.Version, "dev")
	def(&c.ID, 1)
	c.Throttle.withDefaults()
	if c.FourLetterWords == nil {
		c.FourLetterWords = DefaultFourLetterWords
	}
	if c.DirBytes == nil {
		c.DirBytes = func() int64 { return 0 }
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// validate looks at a Config that has its defaults.
func (c *Config) validate() error {
	switch {
	case c.ID < 1 || c.ID > 255:
		return fmt.Errorf("server: id %d is not between 1 and 255", c.ID)
	case c.TickMs < 1:
		return fmt.Errorf("server: a tick of %d ms", c.TickMs)
	case c.MinSessionTimeoutMs < 1 || c.MaxSessionTimeoutMs < c.MinSessionTimeoutMs:
		return fmt.Errorf("server: session timeouts from %d to %d ms", c.MinSessionTimeoutMs, c.MaxSessionTimeoutMs)
	case c.MaxFrame < 1024 || c.MaxFrame > wire.MaxFrame:
		return fmt.Errorf("server: requests of at most %d bytes", c.MaxFrame)
	case c.MaxConns < 1 || c.MaxConnsPerIP < 0 || c.MaxOutstanding < 1 || c.MaxOutBytes < 1 || c.MaxOutTotal < 1 || c.MaxInTotal < 1 || c.MaxReplyBytes < 1:
		return fmt.Errorf("server: a limit below 1")
	}
	return errors.Join(c.Security.validate(), c.Throttle.validate())
}
