package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gopherwood/internal/node"
)

// The admin port, over HTTP:
//
//	/healthz              200 while the process runs
//	/readyz               200 while the server takes requests; else 503 and why not
//	/metrics              for Prometheus
//	/commands             the names of the commands
//	/commands/NAME        one of them, as JSON like ZooKeeper's AdminServer (server.admin.Commands)
//
// It shows and changes nothing that a client could not see or do.

// AdminHandler serves the admin port.
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.serveReady)
	mux.Handle("GET /metrics", s.metricsHandler())
	mux.HandleFunc("GET /commands", s.listCommands)
	mux.HandleFunc("GET /commands/{$}", s.listCommands)
	mux.HandleFunc("GET /commands/{name}", s.serveCommand)
	return mux
}

func reply(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client may have gone
}

func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	switch {
	case s.draining.Load():
		reply(w, http.StatusServiceUnavailable, "shutting down\n")
	case s.IsReady():
		reply(w, http.StatusOK, "ok: "+s.Mode()+"\n")
	default:
		why := ""
		if s.ready.Load() {
			why = s.rep.Status().Forming
		}
		switch {
		case why != "":
		case s.leader.Load() == 0:
			why = "no leader is known"
		default:
			why = "catching up with the leader"
		}
		reply(w, http.StatusServiceUnavailable, why+"\n")
	}
}

// adminCommand is a command under its names, the first of which it is called by in its answer.
type adminCommand struct {
	names   []string
	serving bool // it needs a server that serves
	run     func(*Server, *object)
}

var adminCommands = []adminCommand{
	{[]string{"configuration", "conf", "config"}, true, (*Server).adminConf},
	{[]string{"connections", "cons"}, true, (*Server).adminCons},
	{[]string{"dirs"}, true, (*Server).adminDirs},
	{[]string{"environment", "env", "envi"}, false, (*Server).adminEnv},
	{[]string{"is_read_only", "isro"}, true, func(_ *Server, o *object) { o.put("read_only", false) }},
	{[]string{"leader", "lead"}, true, (*Server).adminLeader},
	{[]string{"monitor", "mntr"}, false, (*Server).adminMonitor},
	{[]string{"ruok"}, true, func(*Server, *object) {}},
	{[]string{"server_stats", "srvr"}, true, (*Server).adminSrvr},
	{[]string{"stats", "stat"}, true, (*Server).adminStat},
	{[]string{"stat_reset", "srst"}, true, func(s *Server, _ *object) { s.stats.reset() }},
	{[]string{"voting_view"}, true, (*Server).adminVoters},
	{[]string{"watch_summary", "wchs"}, true, (*Server).adminWatches},
}

func (s *Server) listCommands(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	for _, c := range adminCommands {
		fmt.Fprintf(&b, "<a href=\"/commands/%s\">%s</a>\n<br/>\n", c.names[0], c.names[0])
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(b.String())) // the client may have gone
}

// serveCommand answers as ZooKeeper does: an error is a field of the answer, not a status.
func (s *Server) serveCommand(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	i := slices.IndexFunc(adminCommands, func(c adminCommand) bool { return slices.Contains(c.names, name) })
	var o object
	var failed any
	switch {
	case i < 0:
		failed = "Unknown command: " + name
	case adminCommands[i].serving && !s.isServing(0):
		failed = strings.TrimSpace(notServing)
	default:
		adminCommands[i].run(s, &o)
	}
	if i >= 0 {
		name = adminCommands[i].names[0]
	}
	o.put("command", name)
	o.put("error", failed)
	text, err := json.MarshalIndent(&o, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, '\n')) // the client may have gone
}

// object is a JSON object whose members keep their order.
type object struct {
	keys   []string
	values []any
}

func (o *object) put(key string, value any) {
	o.keys, o.values = append(o.keys, key), append(o.values, value)
}

// MarshalJSON implements json.Marshaler.
func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, k := range o.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(k)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(o.values[i])
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (s *Server) adminConf(o *object) {
	for _, f := range s.configuration() {
		if f.json != "" {
			o.put(f.json, f.value)
		}
	}
}

func (s *Server) adminDirs(o *object) {
	size := s.cfg.DirBytes()
	o.put("datadir_size", size)
	o.put("logdir_size", size)
}

func (s *Server) adminEnv(o *object) {
	for _, e := range s.environment() {
		o.put(e[0], e[1])
	}
}

func (s *Server) adminLeader(o *object) {
	if len(s.cfg.Members) == 0 {
		o.put("error", "server is not initialized") // what ZooKeeper says when it is alone
		return
	}
	id := uint64(node.ServerOf(s.leader.Load()))
	addr := ""
	for _, m := range s.cfg.Members {
		if m.ID == id {
			addr = m.PeerAddr
		}
	}
	o.put("is_leader", id == s.cfg.ID)
	o.put("leader_id", id)
	o.put("leader_ip", addr[:max(0, strings.LastIndexByte(addr, ':'))])
}

func (s *Server) adminMonitor(o *object) {
	for _, m := range s.monitor() {
		o.put(m.name, m.value)
	}
}

func (s *Server) adminSrvr(o *object) {
	st, v := &s.stats, s.view()
	low, avg, high := st.times()
	var stats object
	stats.put("packets_sent", st.sent.Load())
	stats.put("packets_received", st.received.Load())
	stats.put("avg_latency", avg)
	stats.put("min_latency", low)
	stats.put("max_latency", high)
	stats.put("outstanding_requests", s.outstanding.Load())
	stats.put("last_processed_zxid", v.zxid)
	stats.put("server_state", s.Mode())
	stats.put("num_alive_client_connections", s.connCount.Load())
	stats.put("auth_failed_count", st.authFails.Load())
	stats.put("data_dir_size", s.cfg.DirBytes())
	stats.put("uptime", s.now()/1e6)
	o.put("version", s.fullVersion())
	o.put("read_only", false)
	o.put("server_stats", &stats)
	o.put("node_count", v.nodes)
}

func (s *Server) adminStat(o *object) {
	s.adminSrvr(o)
	o.put("connections", s.connectionInfos(false))
	o.put("secure_connections", []any{})
}

func (s *Server) adminCons(o *object) {
	o.put("connections", s.connectionInfos(true))
	o.put("secure_connections", []any{})
}

func (s *Server) connectionInfos(full bool) []*object {
	infos := []*object{}
	for _, c := range s.conns() {
		infos = append(infos, c.info(full))
	}
	return infos
}

// info is what is known of a connection (ServerCnxn.getConnectionInfo).
func (c *conn) info(full bool) *object {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, st := &object{}, &c.stats
	o.put("remote_socket_address", c.String())
	o.put("interest_ops", 1)
	o.put("outstanding_requests", c.queue.len)
	o.put("packets_received", st.received)
	o.put("packets_sent", st.sent)
	if !full {
		return o
	}
	wall := func(ns int64) string { return c.srv.start.Add(time.Duration(ns)).UTC().Format(time.RFC3339Nano) }
	o.put("session_id", c.session)
	o.put("last_operation", lastName(st))
	o.put("established", wall(c.acceptNs))
	o.put("session_timeout", c.timeoutMs)
	o.put("last_cxid", st.lastXid)
	o.put("last_zxid", st.lastZxid)
	o.put("last_response_time", wall(st.lastNs))
	o.put("last_latency", st.lastLatNs/1e6)
	o.put("min_latency", st.minLatNs/1e6)
	o.put("avg_latency", float64(st.sumLatNs)/float64(max(1, st.answered))/1e6)
	o.put("max_latency", st.maxLatNs/1e6)
	return o
}

func (s *Server) adminVoters(o *object) {
	s.treeMu.RLock()
	data, _, _ := s.tree.Get(configPath, superAuth)
	known, _ := parseConfig(string(data))
	s.treeMu.RUnlock()
	view := map[uint64]any{}
	for _, m := range s.cfg.Members {
		host := m.PeerAddr[:max(0, strings.LastIndexByte(m.PeerAddr, ':'))]
		view[m.ID] = map[string]any{"server_addresses": []string{m.PeerAddr}, "election_addresses": []string{host + ":" + m.electPort()},
			"client_address": known[m.ID], "learner_type": map[bool]string{false: "participant", true: "observer"}[m.Observer]}
	}
	o.put("current_config", view)
}

func (s *Server) adminWatches(o *object) {
	n := s.watchCounts()
	o.put("num_connections", n.Watchers)
	o.put("num_paths", n.Paths)
	o.put("num_total_watches", n.Records)
}
