package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Op is the kind of load.
type Op string

// The kinds of load.
const (
	OpCreate  Op = "create"  // new nodes, each connection under a parent of its own
	OpSet     Op = "set"     // random keys
	OpGet     Op = "get"     // random keys
	OpMixed   Op = "mixed"   // get and set of random keys, by ReadRatio
	OpWatch   Op = "watch"   // one set is told to all connections, which read again and watch again
	OpConnect Op = "connect" // open and close a session, with its connection
)

// Ops is all kinds of load.
var Ops = []Op{OpCreate, OpSet, OpGet, OpMixed, OpWatch, OpConnect}

// Config says what load to run. Zero fields that have a default get it.
type Config struct {
	Op          Op
	Servers     []string      // "host:port"; connections are dealt to them in turn
	Connections int           // default 64. With OpWatch one more sets
	Depth       int           // requests in flight per connection, default 1; not with OpWatch and OpConnect
	SizeBytes   int           // of a node's data; negative is 0
	Keys        int           // nodes to set and get, default 1000
	ReadRatio   float64       // share of gets in OpMixed, 0 to 1
	Warmup      time.Duration // load that is not measured, before the measured one
	Duration    time.Duration // measured, default 10 s
	Pids        []int         // the servers' processes, for CPU per operation
	Root        string        // parent of everything made, a valid path; default "/"
	Progress    func(Progress)
}

// Progress is how a run is getting on, given once a second.
type Progress struct {
	Phase      string        // "connect", "prepare", "warm up", "measure", "clean up"
	Elapsed    time.Duration // in the phase
	Of         time.Duration // how long the phase will take; 0 if not known
	Operations uint64        // in the phase
	Errors     uint64
	P50, P99   time.Duration // in the measured phase
}

// Validate puts defaults in place of zeros and says in one sentence what cannot be. Run does it, too.
func (c *Config) Validate() error {
	if !slices.Contains(Ops, c.Op) {
		names := make([]string, len(Ops))
		for i, op := range Ops {
			names[i] = string(op)
		}
		return fmt.Errorf("bench: operation %q, must be one of %s", c.Op, strings.Join(names, ", "))
	}
	if len(c.Servers) == 0 {
		return fmt.Errorf("bench: no servers")
	}
	setDefault(&c.Connections, 64)
	setDefault(&c.Depth, 1)
	setDefault(&c.Keys, 1000)
	if c.Duration == 0 {
		c.Duration = 10 * time.Second
	}
	if c.Root == "" {
		c.Root = "/"
	}
	c.SizeBytes = max(c.SizeBytes, 0)
	for _, b := range []struct {
		name     string
		is, most int
	}{{"connections", c.Connections, maxConnections}, {"depth", c.Depth, maxDepth}, {"keys", c.Keys, maxKeys}} {
		if b.is < 1 || b.is > b.most {
			return fmt.Errorf("bench: %d %s, must be between 1 and %d", b.is, b.name, b.most)
		}
	}
	if c.SizeBytes > maxSizeBytes {
		return fmt.Errorf("bench: values of %d bytes, must be at most %d", c.SizeBytes, maxSizeBytes)
	}
	if c.Depth*c.SizeBytes > maxWindowBytes {
		return fmt.Errorf("bench: depth %d of values of %d bytes, must be at most %d bytes together", c.Depth, c.SizeBytes, maxWindowBytes)
	}
	if c.ReadRatio < 0 || c.ReadRatio > 1 {
		return fmt.Errorf("bench: read ratio %v, must be between 0 and 1", c.ReadRatio)
	}
	if c.Duration < 0 || c.Warmup < 0 {
		return fmt.Errorf("bench: a negative duration")
	}
	if c.Depth > 1 && (c.Op == OpWatch || c.Op == OpConnect) {
		return fmt.Errorf("bench: %s has no depth", c.Op)
	}
	return nil
}

func setDefault(v *int, d int) {
	if *v == 0 {
		*v = d
	}
}
