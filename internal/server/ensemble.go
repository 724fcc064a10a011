package server

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"gopherwood/internal/server/zoocfg"
	"gopherwood/replica"
)

// ensembleLines are the server.N lines of /zookeeper/config: what the members are is raft's to say, where they are is known from several sides.
type ensembleLines map[uint64]zoocfg.Server

// parseLines reads the data of /zookeeper/config, its lines and its version.
func parseLines(data string) (lines ensembleLines, version int64) {
	lines = make(ensembleLines)
	for line := range strings.Lines(data) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key == strings.TrimSuffix(versionKey, "=") {
			version, _ = strconv.ParseInt(value, 16, 64) // 0 if it is none
			continue
		}
		if number, ok := strings.CutPrefix(key, "server."); ok {
			if s, err := zoocfg.ParseServer(number, value); err == nil {
				lines[s.ID] = s
			}
		}
	}
	return lines, version
}

// String writes the lines as ZooKeeper does (QuorumMaj.toString).
func (l ensembleLines) String() string {
	var b strings.Builder
	for _, id := range sortedKeys(l) {
		s := l[id]
		role := "participant"
		if s.Observer {
			role = "observer"
		}
		b.WriteString("server." + strconv.FormatUint(id, 10) + "=" + s.PeerAddr() + ":" + strconv.Itoa(electPort(&s)) + ":" + role)
		if s.ClientPort != 0 {
			b.WriteString(";" + net.JoinHostPort(s.ClientHost, strconv.Itoa(s.ClientPort)))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// electPort is the second port of a member's line. There is none here, but ZooKeeper's classes, which Curator reads the
// line with, want one that differs from the first (QuorumServer.initializeWithAddressString).
func electPort(s *zoocfg.Server) int {
	if s.ElectPort != 0 {
		return s.ElectPort
	}
	const usual = 3888 - 2888
	if port := s.PeerPort + usual; port <= 65535 {
		return port
	}
	return s.PeerPort - usual
}

func sortedKeys(l ensembleLines) []uint64 {
	ids := make([]uint64, 0, len(l))
	for id := range l {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// line reads a configured member.
func (m *Member) line() zoocfg.Server {
	s := zoocfg.Server{ID: m.ID, Observer: m.Observer}
	s.Host, s.PeerPort = splitAddr(m.PeerAddr)
	s.ElectPort, _ = strconv.Atoi(m.ElectPort) // "": none
	s.ClientHost, s.ClientPort = splitAddr(m.ClientAddr)
	return s
}

// electPort is what ZooKeeper calls the election port of a configured member.
func (m *Member) electPort() string {
	line := m.line()
	return strconv.Itoa(electPort(&line))
}

// members are those of the ensemble as /zookeeper/config has them; before it is written, the configured ones. Any goroutine without the tree's lock.
func (s *Server) members() []Member {
	s.treeMu.RLock()
	data, _, _ := s.tree.Get(configPath, superAuth)
	lines, _ := parseLines(string(data))
	s.treeMu.RUnlock()
	if len(lines) == 0 {
		return s.cfg.Members
	}
	var members []Member
	for _, id := range sortedKeys(lines) {
		line := lines[id]
		members = append(members, Member{ID: id, PeerAddr: line.PeerAddr(), ElectPort: strconv.Itoa(electPort(&line)), ClientAddr: clientAddr(line), Observer: line.Observer})
	}
	return members
}

func splitAddr(addr string) (host string, port int) {
	h, p, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, 0
	}
	port, _ = strconv.Atoi(p) // 0: none
	return h, port
}

// present are the lines as they should be: one for each voter and observer, with the addresses that are known best. old is what
// /zookeeper/config says now. missing counts the members whose clients' address nobody has said yet.
func (s *Server) present(old ensembleLines) (lines ensembleLines, missing int) {
	configured := make(ensembleLines)
	for i := range s.cfg.Members {
		configured[s.cfg.Members[i].ID] = s.cfg.Members[i].line()
	}
	lines = make(ensembleLines)
	if len(s.lead.members) == 0 { // not told yet
		lines = configured
	}
	for _, m := range s.lead.members {
		lines[uint64(m.ServerID)] = zoocfg.Server{ID: uint64(m.ServerID), Observer: m.Observer}
	}
	for id, line := range lines {
		for _, from := range []zoocfg.Server{s.lead.asked[id], old[id], configured[id]} {
			if line.Host == "" {
				line.Host, line.PeerPort, line.ElectPort = from.Host, from.PeerPort, from.ElectPort
			}
			if line.ClientPort == 0 {
				line.ClientHost, line.ClientPort = from.ClientHost, from.ClientPort
			}
		}
		if m := s.lead.member(id); m != nil && m.PeerAddr != "" && m.PeerAddr != line.PeerAddr() {
			line.Host, line.PeerPort = splitAddr(m.PeerAddr)
			line.ElectPort = 0
		}
		// What a reconfig said of a client's address holds for good; before one, members say it themselves.
		if m := s.lead.member(id); s.lead.asked[id].ClientPort != 0 {
		} else if m != nil && m.ClientAddr != "" {
			line.ClientHost, line.ClientPort = splitAddr(m.ClientAddr)
		} else if said := s.lead.addrs[id]; said != "" {
			line.ClientHost, line.ClientPort = splitAddr(said)
		}
		if line.ClientPort == 0 {
			missing++
		}
		lines[id] = line
	}
	return lines, missing
}

// member is what raft says of a server, guests excepted.
func (l *leading) member(id uint64) *replica.Member {
	i := slices.IndexFunc(l.members, func(m replica.Member) bool { return uint64(m.ServerID) == id })
	if i < 0 {
		return nil
	}
	return &l.members[i]
}

// MembersChanged implements replica.MembersObserver, on the loop goroutine. Guests do not show: they are no part of the ensemble.
func (s *Server) MembersChanged(members []replica.Member, joint bool) {
	s.lead.members, s.lead.joint = s.lead.members[:0], joint
	for _, m := range members {
		voted := slices.ContainsFunc(members, func(o replica.Member) bool { return o.ServerID == m.ServerID && !o.Learner })
		if !m.Learner || m.Observer && !voted {
			s.lead.members = append(s.lead.members, m)
		}
	}
	s.lead.configMs = s.lead.nowMs // now
	if m := s.lead.member(s.cfg.ID); m != nil && m.ClientAddr != "" && m.ClientAddr != s.clientAddr() {
		addr := m.ClientAddr // the list of members is used again
		s.movedTo.Store(&addr)
		if s.cfg.ClientMoved != nil {
			s.cfg.ClientMoved(m.ClientAddr)
		}
	}
}

// clientAddr is where clients reach this server: what a reconfig has said, or the configuration.
func (s *Server) clientAddr() string {
	if moved := s.movedTo.Load(); moved != nil {
		return *moved
	}
	return s.cfg.ClientAddr
}
