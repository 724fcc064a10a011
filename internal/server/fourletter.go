package server

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Four-letter words: a client sends four letters where a frame's length would be, and gets a text (ZooKeeper's guide, "The Four
// Letter Words"; the fields and their order are those of server.command).

// commands are the words that are known, and whether they need a server that serves.
var commands = map[string]struct {
	write   func(*Server, *bytes.Buffer)
	serving bool
}{
	"ruok": {(*Server).writeRuok, false},
	"srvr": {(*Server).writeSrvr, true},
	"stat": {(*Server).writeStat, true},
	"mntr": {(*Server).writeMntr, true},
	"conf": {(*Server).writeConf, true},
	"cons": {(*Server).writeCons, true},
	"envi": {(*Server).writeEnvi, false},
	"isro": {(*Server).writeIsro, false},
	"dirs": {(*Server).writeDirs, true},
	"wchs": {(*Server).writeWchs, true},
	"srst": {(*Server).writeSrst, true},
	"crst": {(*Server).writeCrst, true},
	"dump": {(*Server).writeDump, true},
	"wchc": {(*Server).writeWchc, true},
	"wchp": {(*Server).writeWchp, true},
	"hash": {(*Server).writeHash, true},
	"gtmk": {(*Server).writeTraceMask, false},
	"stmk": {(*Server).writeTraceMask, false},
}

const notServing = "This ZooKeeper instance is not currently serving requests\n"

// fourLetterWord is the word in a connection's first four bytes, if they are one.
func fourLetterWord(b []byte) (string, bool) {
	word := string(b)
	_, known := commands[word]
	return word, known
}

// allowedWords is a whitelist as a set. srvr is always in it, as in ZooKeeper, and with the read-only mode isro is, by which a client that
// is connected to a server without a majority finds one with it (ZooKeeper's FourLetterCommands.isEnabled and ClientCnxn).
func allowedWords(list []string, readOnly bool) map[string]bool {
	allowed := map[string]bool{"srvr": true, "isro": readOnly}
	for _, w := range list {
		if w == "*" {
			for known := range commands {
				allowed[known] = true
			}
		}
		allowed[w] = true
	}
	return allowed
}

// command answers a four-letter word, after which the connection ends.
func (c *conn) command(word string) error {
	text := c.srv.Command(word)
	c.mu.Lock()
	c.state = stateCommand
	out := c.outLocked()
	out.b = append(out.b, text...)
	c.closeLocked()
	c.mu.Unlock()
	c.stop = true
	c.srv.stats.sent.Add(1)
	return nil
}

// Command is the answer to a four-letter word.
func (s *Server) Command(word string) []byte {
	var b bytes.Buffer
	cmd, known := commands[word]
	switch {
	case !s.allowed[word]:
		b.WriteString(word + " is not executed because it is not in the whitelist.\n")
	case !known:
		b.WriteString(word + " is not a word that there is.\n")
	case cmd.serving && !s.isServing(0) && !s.isReadOnly():
		b.WriteString(notServing)
	default:
		cmd.write(s, &b)
	}
	return b.Bytes()
}

func (s *Server) writeRuok(b *bytes.Buffer) { b.WriteString("imok") }

func (s *Server) writeIsro(b *bytes.Buffer) {
	switch {
	case s.isServing(0):
		b.WriteString("rw")
	case s.isReadOnly():
		b.WriteString("ro")
	default:
		b.WriteString("null")
	}
}

// compatible is the version of ZooKeeper whose behaviour this is; clients parse it.
const compatible = "3.9.5"

func (s *Server) fullVersion() string {
	return compatible + "-gopherwood-" + s.cfg.Version + ", built on " + buildDate()
}

func (s *Server) writeSrvr(b *bytes.Buffer) { s.writeStats(b, false) }
func (s *Server) writeStat(b *bytes.Buffer) { s.writeStats(b, true) }

func (s *Server) writeStats(b *bytes.Buffer, clients bool) {
	fmt.Fprintf(b, "Zookeeper version: %s\n", s.fullVersion())
	if clients {
		b.WriteString("Clients:\n")
		for _, c := range s.conns() {
			c.describe(b, false)
		}
		b.WriteByte('\n')
	}
	st := &s.stats
	v := s.view()
	low, avg, high := s.times()
	fmt.Fprintf(b, "Latency min/avg/max: %d/%s/%d\n", low, decimal(avg), high)
	fmt.Fprintf(b, "Received: %d\nSent: %d\nConnections: %d\nOutstanding: %d\n",
		st.received.Load(), st.sent.Load(), s.connCount.Load(), s.outstanding.Load())
	fmt.Fprintf(b, "Zxid: %s\nMode: %s\nNode count: %d\n", hex(v.zxid), s.Mode(), v.nodes)
	if s.Mode() == "leader" {
		b.WriteString("Proposal sizes last/min/max: " + s.proposalSizes() + "\n")
	}
}

// decimal prints as Java does: at least one digit behind the point, four at most.
func decimal(f float64) string {
	t := strings.TrimRight(strconv.FormatFloat(f, 'f', 4, 64), "0")
	if strings.HasSuffix(t, ".") {
		t += "0"
	}
	return t
}

func (s *Server) writeCons(b *bytes.Buffer) {
	for _, c := range s.conns() {
		c.describe(b, true)
	}
	b.WriteByte('\n')
}

// describe writes a line about a connection (ServerCnxn.dumpConnectionInfo).
func (c *conn) describe(b *bytes.Buffer, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := &c.stats
	interest := "1" // it wants to read, as a SelectionKey says it
	if c.writing || c.out != nil {
		interest = "5"
	}
	fmt.Fprintf(b, " /%s[%s](queued=%d,recved=%d,sent=%d", c, interest, c.queue.len, st.received, st.sent)
	if full && c.session != 0 {
		wall := func(ns int64) int64 { return c.srv.start.Add(time.Duration(ns)).UnixMilli() }
		fmt.Fprintf(b, ",sid=%s,lop=%s,est=%d,to=%d", hex(c.session), lastName(st), wall(c.acceptNs), c.timeoutMs)
		if st.answered > 0 {
			fmt.Fprintf(b, ",lcxid=0x%x", st.lastXid)
		}
		avg := int64(0)
		if st.answered > 0 {
			avg = st.sumLatNs / st.answered
		}
		fmt.Fprintf(b, ",lzxid=%s,lresp=%d,llat=%d,minlat=%d,avglat=%d,maxlat=%d", hex(st.lastZxid), wall(st.lastNs),
			st.lastLatNs/1e6, st.minLatNs/1e6, avg/1e6, st.maxLatNs/1e6)
	}
	b.WriteString(")\n")
}

func lastName(st *connStats) string {
	if name := opTable[slotOf(st.lastOp)].last; name != "" {
		return name
	}
	return "NA"
}

func (s *Server) writeConf(b *bytes.Buffer) {
	for _, f := range s.configuration() {
		fmt.Fprintf(b, "%s=%v\n", f.text, f.value)
	}
	if len(s.cfg.Members) > 0 {
		b.WriteString("membership: \n")
		s.treeMu.RLock()
		data, _, _ := s.tree.Get(configPath, superAuth)
		b.Write(data)
		s.treeMu.RUnlock()
	}
}

// field is a line of conf and, under ZooKeeper's other name for it, of the command configuration over HTTP.
type field struct {
	text, json string
	value      any
}

func (s *Server) configuration() []field {
	_, port, _ := net.SplitHostPort(s.clientAddr())
	secure := -1
	if _, p, err := net.SplitHostPort(s.cfg.SecureClientAddr); err == nil {
		secure, _ = strconv.Atoi(p)
	}
	n, _ := strconv.Atoi(port) // -1 would be ZooKeeper's "none"; 0 says the same
	size := s.cfg.DirBytes()
	all := []field{
		{"clientPort", "client_port", n},
		{"secureClientPort", "", secure},
		{"dataDir", "data_dir", s.cfg.DataDir},
		{"dataDirSize", "", size},
		{"dataLogDir", "data_log_dir", s.cfg.DataDir},
		{"dataLogSize", "", size},
		{"tickTime", "tick_time", s.cfg.TickMs},
		{"maxClientCnxns", "max_client_cnxns", s.cfg.MaxConnsPerIP},
		{"minSessionTimeout", "min_session_timeout", s.cfg.MinSessionTimeoutMs},
		{"maxSessionTimeout", "max_session_timeout", s.cfg.MaxSessionTimeoutMs},
		{"clientPortListenBacklog", "client_port_listen_backlog", -1},
		{"serverId", "server_id", s.cfg.ID},
	}
	for _, m := range s.members() {
		if m.ID == s.cfg.ID {
			_, peer, _ := net.SplitHostPort(m.PeerAddr)
			peerType := 0 // QuorumPeer.LearnerType
			if m.Observer {
				peerType = 1
			}
			all = append(all, field{"initLimit", "", s.cfg.InitLimit}, field{"syncLimit", "", s.cfg.SyncLimit},
				field{"electionAlg", "", 3}, field{"electionPort", "", m.electPort()}, field{"quorumPort", "", peer}, field{"peerType", "", peerType})
		}
	}
	return all
}

func (s *Server) writeDirs(b *bytes.Buffer) {
	size := s.cfg.DirBytes()
	fmt.Fprintf(b, "datadir_size: %d\nlogdir_size: %d\n", size, size)
}

func (s *Server) writeWchs(b *bytes.Buffer) {
	n := s.watchCounts()
	fmt.Fprintf(b, "%d connections watching %d paths\nTotal watches:%d\n", n.Watchers, n.Paths, n.Records)
}

func (s *Server) writeSrst(b *bytes.Buffer) {
	s.resetStats()
	b.WriteString("Server stats reset.\n")
}

func (s *Server) writeCrst(b *bytes.Buffer) {
	s.resetConnStats()
	b.WriteString("Connection stats reset.\n")
}

func (s *Server) resetConnStats() {
	for _, c := range s.conns() {
		c.mu.Lock()
		c.stats = connStats{}
		c.mu.Unlock()
	}
}

func (s *Server) resetStats() {
	s.stats.reset()
	s.observed.reset()
}

func (s *Server) writeMntr(b *bytes.Buffer) {
	for _, m := range s.monitor() {
		m.each(func(name string, value any) { fmt.Fprintf(b, "zk_%s\t%v\n", name, value) })
	}
}

func (s *Server) writeEnvi(b *bytes.Buffer) {
	b.WriteString("Environment:\n")
	for _, e := range s.environment() {
		b.WriteString(e[0] + "=" + e[1] + "\n")
	}
}

// osVersion is the kernel's release.
func osVersion() string {
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		return strings.TrimSpace(string(b))
	}
	return "<NA>"
}

// environment is what this process runs in, under the names that ZooKeeper's clients look for (Environment.list).
func (s *Server) environment() [][2]string {
	or := func(v string, err error) string {
		if err != nil || v == "" {
			return "<NA>"
		}
		return v
	}
	name, home := "<NA>", "<NA>"
	if u, err := user.Current(); err == nil {
		name, home = u.Username, u.HomeDir
	}
	const mb = 1 << 20
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	return [][2]string{
		{"zookeeper.version", s.fullVersion()},
		{"host.name", or(os.Hostname())},
		{"java.version", "<NA>"},
		{"java.vendor", "<NA>"},
		{"java.home", "<NA>"},
		{"java.class.path", "<NA>"},
		{"java.library.path", "<NA>"},
		{"java.io.tmpdir", os.TempDir()},
		{"java.compiler", "<NA>"},
		{"go.version", runtime.Version()},
		{"os.name", runtime.GOOS},
		{"os.arch", runtime.GOARCH},
		{"os.version", osVersion()},
		{"user.name", name},
		{"user.home", home},
		{"user.dir", or(os.Getwd())},
		{"os.memory.free", strconv.FormatUint((mem.HeapSys-mem.HeapInuse)/mb, 10) + "MB"},
		{"os.memory.max", strconv.FormatUint(mem.Sys/mb, 10) + "MB"},
		{"os.memory.total", strconv.FormatUint(mem.Sys/mb, 10) + "MB"},
	}
}
