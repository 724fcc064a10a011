package server

import (
	"fmt"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"gopherwood/internal/node"
)

// The commands of the admin port that tell of sessions, watches and members.

func (s *Server) adminDump(o *object) {
	due := map[string][]int64{}
	if sets, ok := s.expiries(); ok {
		for at, ids := range sets {
			slices.Sort(ids)
			due[strconv.FormatInt(at, 10)] = ids
		}
	}
	o.put("expiry_time_to_session_ids", due)
	o.put("session_id_to_ephemeral_paths", byText(s.ephemeralPaths()))
}

// byText is a map with its keys as JSON has them.
func byText(m map[int64][]string) map[string][]string {
	all := make(map[string][]string, len(m))
	for id, v := range m {
		all[strconv.FormatInt(id, 10)] = v
	}
	return all
}

func (s *Server) adminHash(o *object) {
	zxid, digest := s.stateDigest()
	var d object
	d.put("zxid", zxid)
	d.put("digest", int64(digest))
	d.put("digest_version", digestVersion)
	o.put("digests", []*object{&d})
}

func (s *Server) adminWatchesBySession(o *object) {
	o.put("session_id_to_watched_paths", byText(s.watched()))
}

func (s *Server) adminWatchesByPath(o *object) { o.put("path_to_session_ids", byPath(s.watched())) }

// adminInitialConf shows the configuration file, without its secrets.
func (s *Server) adminInitialConf(o *object) {
	if s.cfg.ConfigText == "" {
		o.put("initial_configuration", nil) // there was no file
		return
	}
	o.put("initial_configuration", withoutSecrets(s.cfg.ConfigText))
}

// withoutSecrets replaces the values of keys that sound like a secret.
func withoutSecrets(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		end := strings.IndexAny(line, "=: \t")
		key := strings.ToLower(line)
		if end > 0 {
			key = key[:end]
		}
		if end > 0 && !strings.HasPrefix(key, "#") && slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(key, w) }) {
			line = line[:end] + "=(not shown)\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

var secretWords = []string{"password", "passwd", "secret", "superdigest", "superuser", "jaas"}

func (s *Server) adminLastSnapshot(o *object) {
	last := s.lastSnapshot.Load()
	if last == nil {
		o.put("zxid", strconv.FormatUint(1<<64-1, 16)) // as Java prints -1
		o.put("timestamp", -1)
		return
	}
	o.put("zxid", strconv.FormatInt(last.zxid, 16))
	o.put("timestamp", last.at.Unix())
}

// adminObservers lists the learners, as far as this server knows them: what ZooKeeper tells of its connections to them is 0 where there is no such thing.
func (s *Server) adminObservers(o *object) {
	infos := []*object{}
	synced := 0
	st := s.rep.Status()
	addrs := s.peerAddrs()
	for _, m := range st.Members {
		if !m.Learner {
			continue
		}
		if m.Active && m.Match+syncedLag >= st.Commit {
			synced++
		}
		id := uint64(node.ServerOf(m.RaftID))
		info := &object{}
		info.put("remote_socket_address", addrs[id])
		info.put("sid", id)
		info.put("established", nil)
		info.put("queued_packets", 0)
		info.put("queued_packets_size", 0)
		info.put("packets_received", 0)
		info.put("packets_sent", 0)
		info.put("requests", 0)
		info.put("last_zxid", -1)
		infos = append(infos, info)
	}
	o.put("synced_observers", synced)
	o.put("observers", infos)
}

func (s *Server) peerAddrs() map[uint64]string {
	addrs := make(map[uint64]string)
	for _, m := range s.members() {
		addrs[m.ID] = m.PeerAddr
	}
	return addrs
}

// adminProperties are what a Java program would find in its system properties and is true here.
func (s *Server) adminProperties(o *object) {
	all := map[string]string{
		"file.separator": string(os.PathSeparator), "path.separator": string(os.PathListSeparator), "line.separator": "\n",
		"os.name": runtime.GOOS, "os.arch": runtime.GOARCH, "os.version": osVersion(), "go.version": runtime.Version(),
	}
	for _, e := range s.environment() {
		if strings.HasPrefix(e[0], "user.") {
			all[e[0]] = e[1]
		}
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		o.put(key, all[key])
	}
}

// adminZabState: there is no Zab here. Its phases have counterparts all the same: a server looks for a leader, catches up with it, or serves.
func (s *Server) adminZabState(o *object) {
	var self *Member
	members := s.members()
	for i := range members {
		if members[i].ID == s.cfg.ID {
			self = &members[i]
		}
	}
	if self == nil {
		o.put("voting", false)
		o.put("zabstate", "")
		return
	}
	zxid := s.lastZxid()
	o.put("myid", s.cfg.ID)
	o.put("is_leader", s.Mode() == "leader")
	host, port, _ := net.SplitHostPort(self.PeerAddr)
	o.put("quorum_address", multiAddress(host, port))
	o.put("election_address", multiAddress(host, self.electPort()))
	o.put("client_address", s.clientAddr())
	o.put("voting", s.ready.Load() && s.rep.Status().Role != "learner")
	o.put("last_zxid", hex(zxid))
	o.put("zab_epoch", zxid>>32)
	o.put("zab_counter", zxid&(1<<32-1))
	state := "broadcast"
	switch {
	case s.leader.Load() == 0:
		state = "election"
	case !s.isServing(0):
		state = "synchronization"
	}
	o.put("zabstate", state)
}

// multiAddress is one address as ZooKeeper shows its MultipleAddresses.
func multiAddress(host, port string) *object {
	addr := net.JoinHostPort(host, port)
	n, _ := strconv.Atoi(port) // 0 if there is none
	o := &object{}
	o.put("empty", false)
	o.put("all_addresses", []string{addr})
	o.put("wildcard_addresses", []string{net.JoinHostPort("0.0.0.0", port)})
	o.put("all_ports", []int{n})
	o.put("all_host_strings", []string{host})
	o.put("reachable_address", addr)
	o.put("all_reachable_addresses", []string{addr})
	o.put("all_reachable_addresses_or_all", []string{addr})
	o.put("reachable_or_one", addr)
	o.put("one", addr)
	return o
}

func (s *Server) adminGetTraceMask(o *object) { o.put("tracemask", 0) }

// adminSetTraceMask looks at its argument as ZooKeeper does, and then says why it does nothing.
func (s *Server) adminSetTraceMask(c *adminCall) {
	query := c.request.URL.Query()
	if !query.Has("traceMask") {
		c.fail(0, "setTraceMask requires long traceMask argument")
		return
	}
	if _, err := strconv.ParseInt(query.Get("traceMask"), 10, 64); err != nil {
		c.fail(0, "setTraceMask requires long traceMask argument, got "+short(query.Get("traceMask")))
		return
	}
	c.put("tracemask", 0)
	c.fail(0, "there is no trace to mask here: what a server does is in its log; start it with --log-level debug to see more")
}

// bufferStats is what ZooKeeper calls a BufferStats.
func bufferStats(b *sizes) *object {
	last, low, high := b.get()
	o := &object{}
	o.put("last_buffer_size", last)
	o.put("min_buffer_size", low)
	o.put("max_buffer_size", high)
	return o
}

func (s *Server) proposalSizes() string {
	last, low, high := s.stats.proposals.get()
	return fmt.Sprintf("%d/%d/%d", last, low, high)
}
