package zoocfg

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
)

// MaxFrame is the highest jute.maxbuffer: what a replicated command may hold (replica.MaxCommandBytes), less room for its
// identities and header.
const MaxFrame = 4<<20 - 64<<10

// maxTokens is the highest number of tokens, and of milliseconds to fill them in: their products stay exact.
const maxTokens = 1 << 24

// setter takes a value, or says what is wrong with it: the end of a sentence that starts with "key=value ".
type setter func(c *Config, value string) (bad string)

// keys are the settings that mean something here.
var keys = map[string]setter{
	"dataDir":           text(func(c *Config) *string { return &c.DataDir }),
	"clientPort":        port(func(c *Config) *int { return &c.ClientPort }),
	"clientPortAddress": text(func(c *Config) *string { return &c.ClientAddress }),
	"tickTime":          number(1, math.MaxInt32/20, "in milliseconds, such as 2000", func(c *Config, n int64) { c.TickMs = n }),
	"initLimit":         number(1, math.MaxInt32, "of ticks", func(c *Config, n int64) { c.InitLimit = int(n); c.Ignored = append(c.Ignored, "initLimit") }),
	"syncLimit":         number(1, math.MaxInt32, "of ticks", func(c *Config, n int64) { c.SyncLimit = int(n); c.Ignored = append(c.Ignored, "syncLimit") }),
	// -1 is ZooKeeper's own way to say "the default" for both
	"minSessionTimeout": number(-1, math.MaxInt32, "in milliseconds", func(c *Config, n int64) { c.MinSessionMs = int32(max(0, n)) }),
	"maxSessionTimeout": number(-1, math.MaxInt32, "in milliseconds", func(c *Config, n int64) { c.MaxSessionMs = int32(max(0, n)) }),
	"maxClientCnxns":    number(0, math.MaxInt32, "of connections per address, 0 for no limit", func(c *Config, n int64) { c.MaxClientCnxns = int(n) }),
	"maxCnxns":          number(0, math.MaxInt32, "of connections, 0 for the default", func(c *Config, n int64) { c.MaxCnxns = int(n) }),
	"jute.maxbuffer":    number(1024, MaxFrame, "of bytes", func(c *Config, n int64) { c.MaxFrame = int(n) }),
	"4lw.commands.whitelist": func(c *Config, v string) string {
		c.Whitelist = []string{}
		for w := range strings.SplitSeq(v, ",") {
			if w = strings.TrimSpace(w); w != "" {
				c.Whitelist = append(c.Whitelist, w)
			}
		}
		return ""
	},
	"DigestAuthenticationProvider.superDigest": func(c *Config, v string) string {
		if user, hash, ok := strings.Cut(v, ":"); !ok || user == "" || hash == "" {
			return "is not user:hash; make it with DigestAuthenticationProvider"
		}
		c.SuperDigest = v
		return ""
	},
	"znode.container.checkIntervalMs": number(1, math.MaxInt32, "in milliseconds", func(c *Config, n int64) { c.ReapMs = n }),
	"admin.enableServer":              boolean(func(c *Config, on bool) { c.AdminDisabled = !on }),
	"admin.serverPort":                port(func(c *Config) *int { return &c.AdminPort }),
	"admin.serverAddress":             text(func(c *Config) *string { return &c.AdminAddress }),
	"metricsProvider.httpPort":        port(func(c *Config) *int { return &c.MetricsPort }),
	"metricsProvider.httpHost":        text(func(c *Config) *string { return &c.MetricsAddress }),
	"quorumListenOnAllIPs":            boolean(func(c *Config, on bool) { c.QuorumOnAllIPs = on }),
	"dynamicConfigFile":               text(func(c *Config) *string { return &c.dynamicConfigFile }),

	"admin.commandURL": func(c *Config, v string) string {
		v = strings.TrimRight(v, "/")
		if !strings.HasPrefix(v, "/") || strings.ContainsAny(v, "{} \t?#%") || strings.Contains(v, "//") {
			return "is not a path for the admin port's commands; give one such as /commands"
		}
		c.AdminURL = v
		return ""
	},
	"admin.rateLimiterIntervalInMS":             number(1, math.MaxInt32, "in milliseconds", func(c *Config, n int64) { c.AdminIntervalMs = n }),
	"admin.restore.enabled":                     boolean(func(c *Config, on bool) { c.NoAdminRestore = !on }),
	"admin.snapshot.enabled":                    boolean(func(c *Config, on bool) { c.NoAdminSnapshot = !on }),
	"metricsProvider.exportJvmInfo":             boolean(func(c *Config, on bool) { c.NoRuntimeMetrics = !on }),
	"IPAuthenticationProvider.usexforwardedfor": boolean(func(c *Config, on bool) { c.ForwardedFor = on }),
	"ensembleAuthName": func(c *Config, v string) string {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); name != "" {
				c.EnsembleNames = append(c.EnsembleNames, name)
			}
		}
		return ""
	},
	"pathStats.maxDepth":            number(1, 64, "of elements of a path", func(c *Config, n int64) { c.PathDepth = int(n) }),
	"znode.container.maxPerMinute":  number(1, math.MaxInt32, "of nodes", func(c *Config, n int64) { c.ReapPerMinute = int(n) }),
	"admin.idleTimeout":             number(1, math.MaxInt32, "in milliseconds", func(c *Config, n int64) { c.AdminIdleMs = n }),
	"clientPortListenBacklog":       number(-1, math.MaxInt32, "of connections, -1 for the default", func(c *Config, n int64) { c.Backlog = int(max(0, n)) }),
	"clientTcpKeepAlive":            boolean(func(c *Config, on bool) { c.KeepAlive = on }),
	"datadir.autocreate":            boolean(func(c *Config, on bool) { c.DataDirMustExist = !on }),
	"nio.sessionlessCnxnTimeout":    number(1, math.MaxInt32, "in milliseconds", func(c *Config, n int64) { c.HandshakeMs = n }),
	"snapSizeLimitInKb":             number(-1, math.MaxInt32, "of KiB, -1 for the default", func(c *Config, n int64) { c.SnapshotBytes = max(0, n) << 10 }),
	"reconfigEnabled":               boolean(func(c *Config, on bool) { c.ReconfigEnabled = on }),
	"localSessionsEnabled":          boolean(func(c *Config, on bool) { c.LocalSessions = on }),
	"localSessionsUpgradingEnabled": boolean(func(c *Config, on bool) { c.LocalUpgrade = on }),
	"standaloneEnabled":             boolean(func(c *Config, on bool) { c.StandaloneOff = !on }),
	"readonlymode.enabled":          boolean(func(c *Config, on bool) { c.ReadOnlyMode = on }),
	"peerType":                      setPeerType,

	"enforceQuota":                              boolean(func(c *Config, on bool) { c.EnforceQuota = on }),
	"connection_throttle_tokens":                number(0, maxTokens, "of tokens, 0 for no limit", func(c *Config, n int64) { c.Throttle.Tokens = int(n) }),
	"connection_throttle_fill_time":             number(1, maxTokens, "in milliseconds", func(c *Config, n int64) { c.Throttle.FillTimeMs = int(n) }),
	"connection_throttle_fill_count":            number(1, maxTokens, "of tokens", func(c *Config, n int64) { c.Throttle.FillCount = int(n) }),
	"connection_throttle_freeze_time":           number(-1, math.MaxInt32, "in milliseconds, -1 for no dropping at random", func(c *Config, n int64) { c.Throttle.FreezeMs = int(max(n, 0)) }),
	"connection_throttle_drop_increase":         share(math.SmallestNonzeroFloat64, func(c *Config, f float64) { c.Throttle.DropIncrease = f }),
	"connection_throttle_drop_decrease":         share(math.SmallestNonzeroFloat64, func(c *Config, f float64) { c.Throttle.DropDecrease = f }),
	"connection_throttle_decrease_ratio":        share(0, func(c *Config, f float64) { c.Throttle.DecreaseRatio = f }),
	"connection_throttle_weight_enabled":        boolean(func(c *Config, on bool) { c.Throttle.Weighted = on }),
	"connection_throttle_global_session_weight": number(1, 1000, "of tokens", func(c *Config, n int64) { c.Throttle.NewWeight = int(n) }),
	"connection_throttle_local_session_weight":  number(1, 1000, "of tokens", func(c *Config, n int64) { c.Throttle.LocalWeight = int(n) }),
	"connection_throttle_renew_session_weight":  number(1, 1000, "of tokens", func(c *Config, n int64) { c.Throttle.RenewWeight = int(n) }),
	"globalOutstandingLimit":                    number(1, math.MaxInt32, "of requests", func(c *Config, n int64) { c.Throttle.GlobalOutstanding = int(n) }),
	"request_throttle_max_requests":             number(0, math.MaxInt32, "of requests, 0 for no limit", func(c *Config, n int64) { c.Throttle.MaxRequests = int(n) }),
	"throttled_op_wait_time":                    number(0, math.MaxInt32, "in milliseconds, 0 for no limit", func(c *Config, n int64) { c.Throttle.OpWaitMs = int(n) }),
	"largeRequestMaxBytes":                      number(1, math.MaxInt32, "of bytes", func(c *Config, n int64) { c.Throttle.LargeMaxBytes = int(n) }),
	"largeRequestThreshold":                     number(-1, math.MaxInt32, "of bytes, -1 for none", func(c *Config, n int64) { c.Throttle.LargeThreshold = int(max(n, 0)) }),

	"quorum.auth.enableSasl": refusedIf("true", "asks for SASL between servers, which they do not have; remove it"),
}

// keyOf is the setting of a key that means something here.
func keyOf(key string) (set setter, ok bool) {
	if set, ok = keys[key]; !ok {
		set, ok = securityKeys[key]
	}
	if !ok {
		set, ok = secureKeys[key]
	}
	return set, ok
}

// set takes a line into account, or says in a sentence what is wrong with it.
func (c *Config) set(p property, dynamic bool) (bad string) {
	key, _ := strings.CutPrefix(p.key, "zookeeper.") // as the system properties are called
	switch {
	case strings.HasPrefix(key, "server."):
		if !dynamic && c.dynamicConfigFile != "" {
			return fmt.Sprintf("%s must be in the file that dynamicConfigFile names; move it there", p.key)
		}
		return c.setServer(p, strings.TrimPrefix(key, "server."))
	case strings.HasPrefix(key, "group.") || strings.HasPrefix(key, "weight."):
		return fmt.Sprintf("%s asks for a hierarchical quorum, which there is none of here; remove all group and weight lines", p.key)
	}
	if c.setSecurity(key, p.value) {
		return ""
	}
	if set, ok := keyOf(key); ok {
		if bad := set(c, p.value); bad != "" {
			return fmt.Sprintf("%s=%s %s", p.key, shown(key, p.value), bad)
		}
		return ""
	}
	if meaningless[key] != "" || pending[key] || slices.ContainsFunc(pendingPrefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
		c.Ignored = append(c.Ignored, p.key)
	} else {
		c.Unknown = append(c.Unknown, p.key)
	}
	return ""
}

func text(field func(*Config) *string) setter {
	return func(c *Config, v string) string {
		if v == "" {
			return "is empty; give a value or remove it"
		}
		*field(c) = v
		return ""
	}
}

func number(low, high int64, what string, take func(*Config, int64)) setter {
	return func(c *Config, v string) string {
		n, err := strconv.ParseInt(v, 0, 64)
		if err != nil || n < low || n > high {
			return fmt.Sprintf("is not a number %s; give one from %d to %d", what, low, high)
		}
		take(c, n)
		return ""
	}
}

// share is a number from low to 1.
func share(low float64, take func(*Config, float64)) setter {
	return func(c *Config, v string) string {
		f, err := strconv.ParseFloat(v, 64)
		switch {
		case err == nil && f >= low && f <= 1:
			take(c, f)
			return ""
		case low > 0:
			return "is not a share; give a number above 0 and up to 1, such as 0.02"
		}
		return "is not a share; give a number from 0 to 1, such as 0.5"
	}
}

func port(field func(*Config) *int) setter {
	return func(c *Config, v string) string {
		n, ok := parsePort(v)
		if !ok {
			return "is not a port; give a number from 1 to 65535"
		}
		*field(c) = n
		return ""
	}
}

func boolean(take func(*Config, bool)) setter {
	return func(c *Config, v string) string {
		switch strings.ToLower(v) {
		case "true":
			take(c, true)
		case "false":
			take(c, false)
		default:
			return "is neither true nor false; give one of them"
		}
		return ""
	}
}

func refused(why string) setter { return func(*Config, string) string { return why } }

// setPeerType reads what this server itself is.
func setPeerType(c *Config, v string) string {
	switch strings.ToLower(v) {
	case "observer":
		c.Observer = true
	case "participant":
	default:
		return "is neither participant nor observer"
	}
	return ""
}

// refusedIf refuses one value; with others the key means nothing.
func refusedIf(value, why string) setter {
	return func(_ *Config, v string) string {
		if strings.EqualFold(v, value) {
			return why
		}
		return ""
	}
}

func parsePort(v string) (int, bool) {
	n, err := strconv.Atoi(v)
	return n, err == nil && n >= 1 && n <= 65535
}

// setServer reads a server.N line.
func (c *Config) setServer(p property, number string) (bad string) {
	s, err := ParseServer(number, p.value)
	if err != nil {
		return fmt.Sprintf("%s=%s %v; the form is server.N=host:2888:3888;2181", p.key, p.value, err)
	}
	c.Servers = append(c.Servers, s)
	return ""
}

// ParseServer reads what follows "server." in a server.N line, as a file or a reconfig request has it. The error is the rest of a sentence that begins
// with the line.
func ParseServer(number, value string) (Server, error) {
	id, err := strconv.ParseUint(strings.TrimSpace(number), 10, 64)
	if err != nil || id < 1 || id > 255 {
		return Server{}, errors.New("has no number from 1 to 255 behind the dot")
	}
	peer, client, hasClient := strings.Cut(value, ";")
	if strings.Contains(peer, "|") {
		return Server{}, errors.New("has several addresses, of which only one is used here")
	}
	s := Server{ID: id}
	rest, ok := "", false
	if s.Host, rest, ok = cutHost(strings.TrimSpace(peer)); !ok {
		return Server{}, errors.New("has no host and port")
	}
	parts := strings.Split(rest, ":")
	if last := parts[len(parts)-1]; len(parts) > 1 && !isDigits(last) {
		switch strings.ToLower(last) {
		case "observer":
			s.Observer = true
		case "participant":
		default:
			return Server{}, errors.New("has a role that is neither participant nor observer")
		}
		parts = parts[:len(parts)-1]
	}
	if len(parts) > 2 {
		return Server{}, errors.New("has too many ports")
	}
	for i, dst := range []*int{&s.PeerPort, &s.ElectPort}[:len(parts)] {
		if *dst, ok = parsePort(parts[i]); !ok {
			return Server{}, fmt.Errorf("has %q where a port from 1 to 65535 belongs", parts[i])
		}
	}
	if hasClient {
		if what := s.setClient(strings.TrimSpace(client)); what != "" {
			return Server{}, errors.New(what)
		}
	}
	return s, nil
}

func (s *Server) setClient(addr string) (bad string) {
	port := addr
	if strings.Contains(addr, ":") {
		host, p, err := net.SplitHostPort(addr)
		if err != nil {
			return "has no client address that can be read behind the semicolon"
		}
		s.ClientHost, port = host, p
	}
	n, ok := parsePort(port)
	if !ok {
		return "has no client port behind the semicolon"
	}
	s.ClientPort = n
	return ""
}

// cutHost cuts "host:rest" or "[v6]:rest".
func cutHost(s string) (host, rest string, ok bool) {
	if v6, found := strings.CutPrefix(s, "["); found {
		host, rest, ok = strings.Cut(v6, "]:")
		return host, rest, ok && net.ParseIP(host) != nil
	}
	host, rest, ok = strings.Cut(s, ":")
	return host, rest, ok && host != "" && rest != "" && !strings.ContainsAny(host, "[]")
}

func isDigits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}
