package zoocfg

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Server is a server.N line: server.N=host:peerPort[:electionPort][:role][;[clientAddress:]clientPort]
type Server struct {
	ID         uint64
	Host       string
	PeerPort   int
	ElectPort  int    // 0: not given
	ClientHost string // "" or a wildcard: not given
	ClientPort int    // 0: not given
	Observer   bool
}

// PeerAddr is "host:port" on which the members talk to each other.
func (s Server) PeerAddr() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.PeerPort)) }

// ClientAddr is "host:port" where clients reach the server; "" if the line does not say the port.
func (s Server) ClientAddr() string {
	if s.ClientPort == 0 {
		return ""
	}
	host := s.ClientHost
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = s.Host
	}
	return net.JoinHostPort(host, strconv.Itoa(s.ClientPort))
}

// Config is what a file says. What it does not say is zero.
type Config struct {
	DataDir           string
	ClientPort        int
	ClientAddress     string // interface to listen on; "" all
	TickMs            int64
	InitLimit         int // in ticks; has no meaning here
	SyncLimit         int // likewise
	MinSessionMs      int32
	MaxSessionMs      int32
	MaxClientCnxns    int // per address
	MaxCnxns          int // of the server
	MaxFrame          int // jute.maxbuffer, bytes
	Whitelist         []string
	SuperDigest       string
	Security          Security
	ReapMs            int64
	AdminDisabled     bool
	AdminPort         int
	AdminAddress      string
	MetricsPort       int // of ZooKeeper's Prometheus provider
	MetricsAddress    string
	QuorumOnAllIPs    bool
	AdminIdleMs       int64
	AdminURL          string // path of the admin port's commands
	AdminIntervalMs   int64  // shortest time between two snapshots over it
	NoAdminSnapshot   bool
	NoAdminRestore    bool
	NoRuntimeMetrics  bool   // /metrics without the figures of the process and its runtime
	ReapPerMinute     int    // container and TTL nodes
	Text              string // of the file itself
	Backlog           int    // of connections that wait to be accepted; 0: the system's
	KeepAlive         bool   // TCP keep-alive on clients' connections
	ReconfigEnabled   bool
	StandaloneOff     bool // standaloneEnabled=false: a reconfig may leave one voter alone
	LocalSessions     bool
	LocalUpgrade      bool  // localSessionsUpgradingEnabled
	ReadOnlyMode      bool  // readonlymode.enabled
	Observer          bool  // peerType
	DataDirMustExist  bool  // it is not made if it is missing
	HandshakeMs       int64 // for a connection to get its session
	SnapshotBytes     int64 // log that makes a new snapshot
	Secure            Secure
	PathDepth         int      // elements of a path that top talkers go by
	ForwardedFor      bool     // the admin port believes X-Forwarded-For
	EnsembleNames     []string // that clients may ask for by the scheme ensemble
	Servers           []Server // by id
	MyID              uint64   // of the myid file; 0: there is none
	EnforceQuota      bool
	Throttle          Throttle
	dynamicConfigFile string

	// Ignored are keys of ZooKeeper that do nothing here (Why says why); Unknown are those that nobody knows.
	Ignored, Unknown []string
}

// Throttle is how much clients may do at a time. Zero is the default of each.
type Throttle struct {
	Tokens, FillTimeMs, FillCount, FreezeMs   int
	DropIncrease, DropDecrease, DecreaseRatio float64
	Weighted                                  bool
	NewWeight, RenewWeight, LocalWeight       int
	GlobalOutstanding, MaxRequests, OpWaitMs  int
	LargeThreshold, LargeMaxBytes             int
}

// Error is a mistake in a configuration, as one sentence.
type Error struct {
	File string
	Line int    // 0: the file as a whole
	Text string // names the key and what would be right
}

// Error is "file:line: text".
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// Load reads a zoo.cfg, the file that its dynamicConfigFile names, and the myid file. The error is an *Error.
func Load(path string) (*Config, error) {
	c := &Config{}
	if err := c.read(path, false); err != nil {
		return nil, err
	}
	if c.dynamicConfigFile != "" {
		if err := c.read(c.dynamicConfigFile, true); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(c.Servers, func(a, b Server) int { return cmp.Compare(a.ID, b.ID) })
	if err := c.readMyID(path); err != nil {
		return nil, err
	}
	return c, c.check(path)
}

func (c *Config) read(path string, dynamic bool) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return &Error{File: path, Text: fmt.Sprintf("the configuration file cannot be read (%v); give the path of a zoo.cfg", cause(err))}
	}
	if !dynamic {
		c.Text = string(text)
	}
	for _, p := range properties(string(text)) {
		if bad := c.set(p, dynamic); bad != "" {
			return &Error{File: path, Line: p.line, Text: bad}
		}
	}
	return nil
}

// cause is an error without the path that the caller names already.
func cause(err error) error {
	if pe, ok := err.(*os.PathError); ok {
		return pe.Err
	}
	return err
}

// readMyID reads dataDir/myid. A file that is not there is no mistake as long as the id comes from elsewhere.
func (c *Config) readMyID(path string) error {
	if c.DataDir == "" {
		return nil
	}
	file := filepath.Join(c.DataDir, "myid")
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return &Error{File: file, Text: fmt.Sprintf("myid cannot be read (%v); it holds this server's number", cause(err))}
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || id < 1 || id > 255 {
		return &Error{File: file, Text: fmt.Sprintf("myid holds %q; it must hold this server's number, from 1 to 255", strings.TrimSpace(string(text)))}
	}
	c.MyID = id
	return nil
}

// check looks at keys that depend on each other.
func (c *Config) check(path string) error {
	switch {
	case c.DataDir == "":
		return &Error{File: path, Text: "dataDir is missing; add a line such as dataDir=/var/lib/gopherwood"}
	case c.Secure.Address != "" && c.Secure.Port == 0:
		return &Error{File: path, Text: "secureClientPortAddress is there and secureClientPort is not; add the port, or remove the address"}
	case c.MinSessionMs > 0 && c.MaxSessionMs > 0 && c.MinSessionMs > c.MaxSessionMs:
		return &Error{File: path, Text: fmt.Sprintf("minSessionTimeout=%d is above maxSessionTimeout=%d; lower the first or raise the second", c.MinSessionMs, c.MaxSessionMs)}
	}
	for i := 1; i < len(c.Servers); i++ {
		if c.Servers[i].ID == c.Servers[i-1].ID {
			return &Error{File: path, Text: fmt.Sprintf("server.%d is there twice; every server has one line", c.Servers[i].ID)}
		}
		if k := slices.IndexFunc(c.Servers[:i], func(s Server) bool { return s.PeerAddr() == c.Servers[i].PeerAddr() }); k >= 0 {
			return &Error{File: path, Text: fmt.Sprintf("server.%d and server.%d have the same address %s; every server has its own", c.Servers[k].ID, c.Servers[i].ID, c.Servers[i].PeerAddr())}
		}
	}
	return nil
}
