package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"gopherwood/internal/server"
	"gopherwood/internal/server/zoocfg"
)

const (
	defaultDataDir    = "gopherwood-data"
	defaultClientPort = 2181
	defaultAdminPort  = 8080
	defaultPeerPort   = 2888
	defaultSlow       = time.Second
)

// settings is what serve was told, by flags and by a zoo.cfg; flags win.
type settings struct {
	config     string
	id         uint64
	peers      string
	dataDir    string
	listen     string // interface for clients
	clientPort int
	advertise  string
	adminPort  int
	adminHost  string
	peerListen string
	tickMs     int64
	minMs      int32
	maxMs      int32
	perIP      int
	buffered   bool
	reconfig   bool
	readOnly   bool
	linear     bool
	pprof      bool
	observe    bool
	slow       time.Duration
	logLevel   string
	logFormat  string
	identities identities
	tls        tlsFlags
	admin      adminFlags

	given   func(flag string) bool
	file    *zoocfg.Config
	members []server.Member
	// plainGiven: somebody asked for a port without TLS.
	plainGiven bool
	// adminGiven: somebody asked for this admin port, so that it is a mistake if it cannot be had.
	adminGiven bool
}

func (s *settings) flags(f *pflag.FlagSet) {
	f.StringVar(&s.config, "config", "", "a ZooKeeper configuration file, zoo.cfg; other flags win over it")
	f.Uint64Var(&s.id, "id", 0, "this server's number in the ensemble, 1 to 255 (default: the file myid)")
	f.StringVar(&s.peers, "peers", "", "all servers of the ensemble, this one too, as 1=host:2888,2=host:2888; add :observer behind one that never votes, ;2181 for its clients' port")
	f.StringVar(&s.dataDir, "data-dir", defaultDataDir, "directory for the log and the snapshots")
	f.StringVar(&s.listen, "client-address", "", "interface on which clients are served (default: all)")
	f.IntVar(&s.clientPort, "client-port", defaultClientPort, "port for clients")
	f.StringVar(&s.advertise, "advertise", "", "host:port that clients are told to connect to (default: this server's host in --peers and the client port)")
	f.IntVar(&s.adminPort, "admin-port", defaultAdminPort, "port for /healthz, /readyz, /metrics and /commands; 0 for none")
	f.StringVar(&s.adminHost, "admin-address", "", "interface for the admin port (default: all)")
	f.StringVar(&s.peerListen, "peer-listen", "", "host:port on which the other servers are served (default: this server's address in --peers)")
	f.Int64Var(&s.tickMs, "tick-ms", 2000, "tickTime: sessions expire in steps of it")
	f.Int32Var(&s.minMs, "min-session-timeout-ms", 0, "shortest session timeout (default: two ticks)")
	f.Int32Var(&s.maxMs, "max-session-timeout-ms", 0, "longest session timeout (default: twenty ticks)")
	f.IntVar(&s.perIP, "max-client-cnxns", 0, "connections from one address; 0 for no limit")
	f.BoolVar(&s.buffered, "buffered-log", false, "write the log through the page cache, with an fdatasync per batch, rather than past it")
	f.BoolVar(&s.readOnly, "read-only-mode", false, "while there is no majority, serve clients that are content with reading (readonlymode.enabled)")
	f.BoolVar(&s.linear, "linearizable-reads", false, "make every read show all that was acknowledged before it, at the price of a round trip between the servers")
	f.BoolVar(&s.reconfig, "reconfig", false, "let clients that may write /zookeeper/config change the ensemble (reconfigEnabled)")
	f.BoolVar(&s.pprof, "pprof", false, "serve profiles of this process under /debug/pprof on the admin port")
	f.BoolVar(&s.observe, "observe", true, "measure operations and the stages of writes, and keep top talkers (/metrics and /commands/top)")
	f.DurationVar(&s.slow, "slow-request", defaultSlow, "log requests that take so long, with the time of each stage; 0 for none")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&s.logFormat, "log-format", "text", "text or json")
	s.identities.flags(f)
	s.tls.flags(f)
	s.admin.flags(f)
	s.given = f.Changed
}

// resolve reads the file, if there is one, and makes sense of it all. Its errors are usage errors, one sentence each.
func (s *settings) resolve() error {
	s.file = &zoocfg.Config{}
	if s.config != "" {
		file, err := zoocfg.Load(s.config)
		if err != nil {
			return usageError{err}
		}
		s.file = file
	}
	s.takeFile()
	s.readOnly = s.readOnly || s.file.ReadOnlyMode && !s.given("read-only-mode")
	s.reconfig = s.reconfig || s.file.ReconfigEnabled && !s.given("reconfig")
	if err := s.resolveMembers(); err != nil {
		return err
	}
	return s.check()
}

// takeFile lets the file decide where no flag was given.
func (s *settings) takeFile() {
	f := s.file
	take(s, "data-dir", &s.dataDir, f.DataDir)
	take(s, "client-port", &s.clientPort, f.ClientPort)
	take(s, "client-address", &s.listen, f.ClientAddress)
	take(s, "admin-port", &s.adminPort, f.AdminPort)
	take(s, "admin-address", &s.adminHost, f.AdminAddress)
	take(s, "tick-ms", &s.tickMs, f.TickMs)
	take(s, "min-session-timeout-ms", &s.minMs, f.MinSessionMs)
	take(s, "max-session-timeout-ms", &s.maxMs, f.MaxSessionMs)
	take(s, "max-client-cnxns", &s.perIP, f.MaxClientCnxns)
	take(s, "id", &s.id, f.MyID)
	if f.AdminDisabled && !s.given("admin-port") {
		s.adminPort = 0
	}
	s.adminGiven = s.given("admin-port") || f.AdminPort != 0
	s.plainGiven = s.given("client-port") || f.ClientPort != 0
}

func take[T comparable](s *settings, flag string, v *T, fromFile T) {
	var zero T
	if !s.given(flag) && fromFile != zero {
		*v = fromFile
	}
}

// resolveMembers finds out who is in the ensemble and which of them this server is.
func (s *settings) resolveMembers() error {
	if s.given("peers") {
		members, err := parsePeers(s.peers)
		if err != nil {
			return err
		}
		s.members = members
	} else {
		for _, f := range s.file.Servers {
			m := server.Member{ID: f.ID, PeerAddr: f.PeerAddr(), ClientAddr: f.ClientAddr(), Observer: f.Observer || s.file.Observer && f.ID == s.id}
			if f.ElectPort != 0 {
				m.ElectPort = strconv.Itoa(f.ElectPort)
			}
			s.members = append(s.members, m)
			if f.ID == s.id && f.ClientPort != 0 && s.file.ClientPort == 0 && !s.given("client-port") {
				s.clientPort, s.plainGiven = f.ClientPort, true
			}
		}
	}
	switch {
	case len(s.members) == 0 && s.id == 0:
		s.id = 1
	case len(s.members) == 0:
	case s.id == 0 && s.given("peers"):
		return usagef("--peers needs --id as well: which of %s is this server", s.numbers())
	case s.id == 0:
		return usagef("%s is missing; write this server's number into it, one of %s, or give --id", filepath.Join(s.dataDir, "myid"), s.numbers())
	case !slices.ContainsFunc(s.members, func(m server.Member) bool { return !m.Observer }):
		return usagef("all of the servers %s are observers; at least one has to vote", s.numbers())
	case s.self() == nil:
		return usagef("this server's number %d is not among the servers %s; correct --id (or myid) or add the server", s.id, s.numbers())
	}
	return nil
}

func (s *settings) numbers() string {
	var all []string
	for _, m := range s.members {
		all = append(all, strconv.FormatUint(m.ID, 10))
	}
	return strings.Join(all, ", ")
}

// self is this server's line, or nil.
func (s *settings) self() *server.Member {
	i := slices.IndexFunc(s.members, func(m server.Member) bool { return m.ID == s.id })
	if i < 0 {
		return nil
	}
	return &s.members[i]
}

// parsePeers reads "1=host:port,2=host:port;clientPort,3=host:port:observer".
func parsePeers(text string) ([]server.Member, error) {
	byID := map[uint64]server.Member{}
	for part := range strings.SplitSeq(text, ",") {
		number, addr, ok := strings.Cut(strings.TrimSpace(part), "=")
		id, err := strconv.ParseUint(number, 10, 64)
		if !ok || err != nil || id < 1 || id > 255 {
			return nil, usagef("--peers: %q is not number=host:port with a number from 1 to 255", part)
		}
		peer, client, _ := strings.Cut(addr, ";")
		peer, observer := strings.CutSuffix(peer, ":observer")
		if !strings.Contains(strings.TrimPrefix(peer, "["), ":") {
			peer = net.JoinHostPort(peer, strconv.Itoa(defaultPeerPort))
		}
		host, port, err := net.SplitHostPort(peer)
		if err != nil || host == "" || !isPort(port) {
			return nil, usagef("--peers: %q has no host:port for server %d", part, id)
		}
		if client != "" && !strings.Contains(client, ":") {
			client = net.JoinHostPort(host, client)
		}
		if _, p, err := net.SplitHostPort(client); client != "" && (err != nil || !isPort(p)) {
			return nil, usagef("--peers: %q has no port for clients behind the semicolon", part)
		}
		if _, twice := byID[id]; twice {
			return nil, usagef("--peers: server %d is there twice", id)
		}
		byID[id] = server.Member{ID: id, PeerAddr: peer, ClientAddr: client, Observer: observer}
	}
	var members []server.Member
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		m := byID[id]
		if k := slices.IndexFunc(members, func(o server.Member) bool { return o.PeerAddr == m.PeerAddr }); k >= 0 {
			return nil, usagef("--peers: servers %d and %d have the same address %s", members[k].ID, id, m.PeerAddr)
		}
		members = append(members, m)
	}
	return members, nil
}

func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n > 0 && n < 65536
}

// check looks at what is left.
func (s *settings) check() error {
	switch {
	case s.id < 1 || s.id > 255:
		return usagef("--id %d: a server's number is from 1 to 255", s.id)
	case s.clientPort < 0 || s.clientPort > 65535:
		return usagef("--client-port %d is not a port", s.clientPort)
	case s.tls.port < 0 || s.tls.port > 65535:
		return usagef("--secure-client-port %d is not a port", s.tls.port)
	case s.adminPort < 0 || s.adminPort > 65535:
		return usagef("--admin-port %d is not a port; 0 means none", s.adminPort)
	case s.tickMs < 1 || s.tickMs > 1<<31/20:
		return usagef("--tick-ms %d: give milliseconds, such as 2000", s.tickMs)
	case s.minMs < 0 || s.maxMs < 0 || (s.minMs > 0 && s.maxMs > 0 && s.minMs > s.maxMs):
		return usagef("session timeouts from %d to %d ms: the shortest must not be above the longest", s.minMs, s.maxMs)
	case s.slow < 0:
		return usagef("--slow-request %v: give a time such as 200ms, or 0 for none", s.slow)
	case s.perIP < 0:
		return usagef("--max-client-cnxns %d: give a number of connections, or 0 for no limit", s.perIP)
	}
	if _, _, err := net.SplitHostPort(s.advertise); s.advertise != "" && err != nil {
		return usagef("--advertise %q is not host:port", s.advertise)
	}
	if _, _, err := net.SplitHostPort(s.peerListen); s.peerListen != "" && err != nil {
		return usagef("--peer-listen %q is not host:port", s.peerListen)
	}
	if _, err := s.logger(); err != nil {
		return err
	}
	if _, err := os.Stat(s.dataDir); s.file.DataDirMustExist && os.IsNotExist(err) {
		return usagef("the data directory %s is missing, and datadir.autocreate=false forbids to make it; make it, or remove that line", s.dataDir)
	}
	if st, err := os.Stat(filepath.Join(s.dataDir, "version-2")); err == nil && st.IsDir() {
		return usagef("%s holds ZooKeeper's own data (version-2), which is not taken over; give another directory with --data-dir or dataDir", s.dataDir)
	}
	return nil
}

func (s *settings) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return nil, usagef("--log-level %q: give debug, info, warn or error", s.logLevel)
	}
	o := &slog.HandlerOptions{Level: level}
	switch s.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, o)), nil
	}
	return nil, usagef("--log-format %q: give text or json", s.logFormat)
}

// clientAddr is what clients of other servers are told to connect to: what was asked for, or this server's host and its port.
func (s *settings) clientAddr(port int) string {
	self := s.self()
	switch {
	case s.advertise != "":
		return s.advertise
	case port == 0:
		return "" // only with TLS, which clients can't be told of
	case self == nil:
		return net.JoinHostPort("", strconv.Itoa(port))
	case self.ClientAddr != "":
		return self.ClientAddr
	}
	host, _, err := net.SplitHostPort(self.PeerAddr)
	if ip := net.ParseIP(s.listen); s.listen != "" && (ip == nil || !ip.IsUnspecified()) {
		host = s.listen
	}
	if err != nil {
		panic(fmt.Sprintf("gopherwood: peer address %q was not checked: %v", self.PeerAddr, err))
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// serverConfig is the settings as package server wants them; port is the one that clients were given.
func (s *settings) serverConfig(port int, log *slog.Logger) server.Config {
	f := s.file
	return server.Config{
		ID: s.id, Members: s.members, TickMs: s.tickMs, MinSessionTimeoutMs: s.minSession(), MaxSessionTimeoutMs: s.maxSession(),
		InitLimit: f.InitLimit, SyncLimit: f.SyncLimit, MaxFrame: f.MaxFrame, MaxConns: f.MaxCnxns, MaxConnsPerIP: s.perIP,
		EnsembleNames: f.EnsembleNames, ForwardedFor: f.ForwardedFor,
		Unobserved: !s.observe, SlowRequest: s.slow, TopDepth: f.PathDepth,
		CommandURL: f.AdminURL, AdminInterval: time.Duration(f.AdminIntervalMs) * time.Millisecond, NoAdminSnapshot: f.NoAdminSnapshot,
		NoAdminRestore: f.NoAdminRestore, NoRuntimeStats: f.NoRuntimeMetrics, ConfigText: f.Text, MaxReap: f.ReapPerMinute,
		ReapInterval: time.Duration(f.ReapMs) * time.Millisecond, FourLetterWords: f.Whitelist, SuperDigest: f.SuperDigest,
		HandshakeTimeout: time.Duration(f.HandshakeMs) * time.Millisecond,
		ClientAddr:       s.clientAddr(port), DataDir: s.dataDir, DirBytes: func() int64 { return dirBytes(s.dataDir) },
		LocalSessions: f.LocalSessions, LocalUpgrade: f.LocalUpgrade, ReadOnly: s.readOnly, LinearizableReads: s.linear,
		Reconfig: s.reconfig, StandaloneOff: f.StandaloneOff,
		X509SuperUser: cmp.Or(s.tls.superUser, f.Secure.SuperUser), MaxTLSHandshakes: f.Secure.MaxHandshakes,
		EnforceQuota: f.EnforceQuota, Throttle: throttle(&f.Throttle),
		Version: buildVersion().Version, Log: log,
	}
}

func throttle(t *zoocfg.Throttle) server.Throttle {
	return server.Throttle{
		Tokens: t.Tokens, FillTimeMs: t.FillTimeMs, FillCount: t.FillCount, FreezeMs: t.FreezeMs,
		DropIncrease: t.DropIncrease, DropDecrease: t.DropDecrease, DecreaseRatio: t.DecreaseRatio,
		Weighted: t.Weighted, NewWeight: t.NewWeight, RenewWeight: t.RenewWeight, LocalWeight: t.LocalWeight,
		GlobalOutstanding: t.GlobalOutstanding, MaxRequests: t.MaxRequests, OpWait: time.Duration(t.OpWaitMs) * time.Millisecond,
		LargeThreshold: t.LargeThreshold, LargeMaxBytes: t.LargeMaxBytes,
	}
}

// minSession and maxSession are two and twenty ticks, unless one that was given lies beyond the other's default.
func (s *settings) minSession() int32 {
	if s.minMs > 0 {
		return s.minMs
	}
	if n := int32(2 * s.tickMs); s.maxMs == 0 || n <= s.maxMs {
		return n
	}
	return s.maxMs
}

func (s *settings) maxSession() int32 {
	if s.maxMs > 0 {
		return s.maxMs
	}
	return max(int32(20*s.tickMs), s.minMs)
}

// dirBytes is the size of the files below a directory; those that vanish meanwhile are left out.
func dirBytes(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}
