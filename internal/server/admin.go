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
//	/commands             the names of the commands (admin.commandURL)
//	/commands/NAME        one of them, as JSON like ZooKeeper's AdminServer (server.admin.Commands)
//
// It changes nothing but counters, with one exception: restore. Two commands need an identity (admin_snapshot.go): what they show, or change, is not for
// every client.

// AdminHandler serves the admin port.
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.serveReady)
	mux.Handle("GET /metrics", s.metricsHandler())
	mux.HandleFunc("GET "+s.cfg.CommandURL, s.listCommands)
	mux.HandleFunc("GET "+s.cfg.CommandURL+"/{$}", s.listCommands)
	mux.HandleFunc("GET "+s.cfg.CommandURL+"/{name}", s.serveCommand)
	mux.HandleFunc("POST "+s.cfg.CommandURL+"/{name}", s.serveCommand)
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

	// What few have: the request matters (call in place of run), it is sent with POST, it needs an identity with all permissions on the root.
	call func(*Server, *adminCall)
	post bool
	auth bool
}

var adminCommands = []adminCommand{
	{names: []string{"configuration", "conf", "config"}, serving: true, run: (*Server).adminConf},
	{names: []string{"connection_stat_reset", "crst"}, serving: true, run: func(s *Server, _ *object) { s.resetConnStats() }},
	{names: []string{"connections", "cons"}, serving: true, run: (*Server).adminCons},
	{names: []string{"dirs"}, serving: true, run: (*Server).adminDirs},
	{names: []string{"dump"}, serving: true, run: (*Server).adminDump},
	{names: []string{"environment", "env", "envi"}, run: (*Server).adminEnv},
	{names: []string{"get_trace_mask", "gtmk"}, run: (*Server).adminGetTraceMask},
	{names: []string{"hash"}, serving: true, run: (*Server).adminHash},
	{names: []string{"initial_configuration", "icfg"}, serving: true, run: (*Server).adminInitialConf},
	{names: []string{"is_read_only", "isro"}, serving: true, run: func(s *Server, o *object) { o.put("read_only", s.isReadOnly()) }},
	{names: []string{"last_snapshot", "lsnp"}, serving: true, run: (*Server).adminLastSnapshot},
	{names: []string{"leader", "lead"}, serving: true, call: (*Server).adminLeader},
	{names: []string{"monitor", "mntr"}, run: (*Server).adminMonitor},
	{names: []string{"observer_connection_stat_reset", "orst"}, serving: true, run: func(*Server, *object) {}}, // nothing of it is counted
	{names: []string{"observers", "obsr"}, serving: true, run: (*Server).adminObservers},
	{names: []string{"restore", "rest"}, serving: true, call: (*Server).adminRestore, post: true, auth: true},
	{names: []string{"ruok"}, serving: true, run: func(*Server, *object) {}},
	{names: []string{"server_stats", "srvr"}, serving: true, run: (*Server).adminSrvr},
	{names: []string{"set_trace_mask", "stmk"}, call: (*Server).adminSetTraceMask},
	{names: []string{"snapshot", "snap"}, serving: true, call: (*Server).adminSnapshot, auth: true},
	{names: []string{"stat_reset", "srst"}, serving: true, run: func(s *Server, _ *object) { s.resetStats() }},
	{names: []string{"stats", "stat"}, serving: true, run: (*Server).adminStat},
	{names: []string{"system_properties", "sysp"}, run: (*Server).adminProperties},
	{names: []string{"top"}, call: (*Server).adminTop},
	{names: []string{"voting_view"}, serving: true, run: (*Server).adminVoters},
	{names: []string{"watch_summary", "wchs"}, serving: true, run: (*Server).adminWatches},
	{names: []string{"watches", "wchc"}, serving: true, run: (*Server).adminWatchesBySession},
	{names: []string{"watches_by_path", "wchp"}, serving: true, run: (*Server).adminWatchesByPath},
	{names: []string{"zabstate"}, run: (*Server).adminZabState},
}

func (s *Server) listCommands(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	for _, c := range adminCommands {
		fmt.Fprintf(&b, "<a href=\"%s/%s\">%s</a>\n<br/>\n", s.cfg.CommandURL, c.names[0], c.names[0])
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(b.String())) // the client may have gone
}

// serveCommand answers as ZooKeeper does: an error is a field of the answer, and a status only where a command needs an identity.
func (s *Server) serveCommand(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	c := &adminCall{request: r, writer: w}
	i := slices.IndexFunc(adminCommands, func(c adminCommand) bool { return slices.Contains(c.names, name) })
	if i < 0 {
		c.fail(0, "Unknown command: "+short(name))
		c.answer(s, w, short(name))
		return
	}
	cmd := &adminCommands[i]
	post := r.Method == http.MethodPost
	switch {
	case cmd.post != post && post:
		w.Header().Set("Allow", "GET, HEAD")
		c.fail(http.StatusMethodNotAllowed, "this command takes GET")
	case cmd.post != post:
		w.Header().Set("Allow", "POST")
		c.fail(http.StatusMethodNotAllowed, "this command takes POST")
	case cmd.serving && !s.isServing(0) && !s.isReadOnly():
		c.fail(0, strings.TrimSpace(notServing))
	case cmd.auth && !s.mayAll(c):
	case cmd.call != nil:
		cmd.call(s, c)
	default:
		cmd.run(s, &c.object)
	}
	c.answer(s, w, cmd.names[0])
}

// short cuts what a client sent and gets back; JSON takes care of its characters.
func short(text string) string { return text[:min(len(text), maxEcho)] }

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

func (s *Server) adminLeader(c *adminCall) {
	if len(s.cfg.Members) == 0 {
		c.fail(0, "server is not initialized") // what ZooKeeper says when it is alone
		return
	}
	id := uint64(node.ServerOf(s.leader.Load()))
	addr := ""
	for _, m := range s.members() {
		if m.ID == id {
			addr = m.PeerAddr
		}
	}
	c.put("is_leader", id == s.cfg.ID)
	c.put("leader_id", id)
	c.put("leader_ip", addr[:max(0, strings.LastIndexByte(addr, ':'))])
}

func (s *Server) adminMonitor(o *object) {
	for _, m := range s.monitor() {
		m.each(o.put)
	}
}

func (s *Server) adminSrvr(o *object) {
	st, v := &s.stats, s.view()
	low, avg, high := s.times()
	var stats object
	size := s.cfg.DirBytes()
	stats.put("packets_sent", st.sent.Load())
	stats.put("packets_received", st.received.Load())
	stats.put("fsync_threshold_exceed_count", 0)
	stats.put("client_response_stats", bufferStats(&st.replies))
	stats.put("provider_null", false)
	stats.put("avg_latency", avg)
	stats.put("min_latency", low)
	stats.put("max_latency", high)
	stats.put("outstanding_requests", s.outstanding.Load())
	stats.put("last_processed_zxid", v.zxid)
	stats.put("server_state", s.Mode())
	stats.put("num_alive_client_connections", s.connCount.Load())
	stats.put("auth_failed_count", st.authFails.Load())
	stats.put("data_dir_size", size)
	stats.put("log_dir_size", size)
	stats.put("non_mtlsremote_conn_count", 0)
	stats.put("non_mtlslocal_conn_count", 0)
	stats.put("uptime", s.now()/1e6)
	o.put("version", s.fullVersion())
	o.put("read_only", s.isReadOnly())
	o.put("server_stats", &stats)
	o.put("client_response", bufferStats(&st.replies))
	if s.Mode() == "leader" {
		o.put("proposal_stats", bufferStats(&st.proposals))
	}
	o.put("node_count", v.nodes)
}

func (s *Server) adminStat(o *object) {
	s.adminSrvr(o)
	o.put("connections", s.connectionInfos(false, false))
	o.put("secure_connections", s.connectionInfos(false, true))
}

func (s *Server) adminCons(o *object) {
	o.put("connections", s.connectionInfos(true, false))
	o.put("secure_connections", s.connectionInfos(true, true))
}

// connectionInfos is the connections of the ports with TLS, or of those without.
func (s *Server) connectionInfos(full, secure bool) []*object {
	infos := []*object{}
	for _, c := range s.conns() {
		if (c.guard != nil) == secure {
			infos = append(infos, c.info(full))
		}
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
	wall := func(ns int64) int64 { return c.srv.start.Add(time.Duration(ns)).UnixMilli() }
	o.put("session_id", c.session)
	o.put("last_operation", lastName(st))
	o.put("established", wall(c.acceptNs))
	o.put("session_timeout", c.timeoutMs)
	o.put("last_cxid", st.lastXid)
	o.put("last_zxid", st.lastZxid)
	o.put("last_response_time", wall(st.lastNs))
	o.put("last_latency", st.lastLatNs/1e6)
	o.put("min_latency", st.minLatNs/1e6)
	o.put("avg_latency", st.sumLatNs/max(1, st.answered)/1e6)
	o.put("max_latency", st.maxLatNs/1e6)
	return o
}

func (s *Server) adminVoters(o *object) {
	view := map[uint64]any{}
	for _, m := range s.members() {
		if m.Observer {
			continue
		}
		host := m.PeerAddr[:max(0, strings.LastIndexByte(m.PeerAddr, ':'))]
		view[m.ID] = map[string]any{"server_addresses": []string{m.PeerAddr}, "election_addresses": []string{host + ":" + m.electPort()},
			"client_address": m.ClientAddr, "learner_type": "participant"}
	}
	o.put("current_config", view)
}

func (s *Server) adminWatches(o *object) {
	n := s.watchCounts()
	o.put("num_connections", n.Watchers)
	o.put("num_paths", n.Paths)
	o.put("num_total_watches", n.Records)
}
