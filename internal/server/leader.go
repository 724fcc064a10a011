package server

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopherwood/internal/node"
	"gopherwood/internal/session"
	"gopherwood/internal/tree"
	"gopherwood/replica"
	"gopherwood/zk"
)

// leading is what this server does as the leader: it expires sessions, deletes container and TTL nodes that are due, and keeps
// the clients' addresses of all members in /zookeeper/config. It belongs to the loop goroutine. Everything it decides is a command, and
// the tree carries it out only in the term in which it was decided.
type leading struct {
	leadership replica.Leadership
	live       *session.Liveness
	voices     voices
	lostNs     int64             // Server.now when there was no leader any more; 0: since the start
	nowMs      int64             // of the last Tick
	timeMs     int64             // stamp of the last command
	fresh      bool              // no Tick since this server began to lead
	sinceMs    int64             // first Tick as the leader
	reapMs     int64             // when to look for nodes to reap
	addrs      map[uint64]string // client addresses that members have announced
	configMs   int64             // when to look at /zookeeper/config again
	proposed   bool              // a KindConfig is under way
	due        []int64

	// On every server: the members without guests, and whether one set of voters is taking over from another.
	members []replica.Member
	joint   bool
	// On the leader: the change that is being made, and the lines that it asked for.
	job   *reconfigJob
	asked ensembleLines
}

// configWaitMs: a new leader waits so long for all members to say their client addresses before it writes what it knows.
const configWaitMs = 10_000

// configEveryMs is how often the leader compares /zookeeper/config with what it knows.
const configEveryMs = 500

func (l *leading) mine() bool { return l.leadership.Mine }

// LeaderChanged implements replica.LeaderObserver.
func (s *Server) LeaderChanged(l replica.Leadership) {
	was := s.lead.leadership
	s.lead.leadership = l
	s.noteElection(was.Leader, l.Leader)
	s.setLeader(l.Leader)
	switch {
	case l.Mine && (!was.Mine || was.Term != l.Term):
		s.log.Info("this server leads", "term", l.Term, "sessions", s.tree.SessionCount())
		s.lead.begin(s)
	case !l.Mine && was.Mine:
		s.lead.live.Follow()
		s.lead.job, s.lead.asked = nil, nil
		s.leadingSince.Store(0)
	}
	if l.Leader != was.Leader && uint64(node.ServerOf(l.Leader)) != s.cfg.ID {
		level := slog.LevelInfo
		msg := "another server leads"
		if l.Leader == 0 {
			level, msg = slog.LevelWarn, "there is no leader; writes wait until one is elected"
		}
		s.log.Log(context.Background(), level, msg, "term", l.Term, "leader", node.ServerOf(l.Leader))
	}
}

// noteElection counts the times without a leader.
func (s *Server) noteElection(was, now uint64) {
	switch {
	case now == 0 && was != 0:
		s.stats.looked.Add(1)
		s.lead.lostNs = s.now()
	case now != 0 && was == 0:
		s.stats.elections.add(1, time.Duration(s.now()-s.lead.lostNs))
	}
}

// begin starts a term of office: every session has its full timeout again.
func (l *leading) begin(s *Server) {
	l.live.Lead(l.nowMs, l.sessions(s.tree))
	l.fresh, l.proposed = true, false
	l.voices = make(voices)
	s.leadingSince.Store(s.now())
}

func (l *leading) sessions(t *tree.Tree) iter.Seq2[int64, int32] {
	return func(yield func(int64, int32) bool) {
		t.Sessions(func(i tree.SessionInfo) bool { return yield(i.ID, i.TimeoutMs) })
	}
}

// Tick implements replica.Ticker.
func (s *Server) Tick(nowMs int64) {
	l := &s.lead
	l.nowMs = nowMs
	if !l.mine() || !s.ready.Load() {
		return
	}
	if l.fresh { // the first Tick of all may only come now
		l.fresh = false
		l.sinceMs, l.configMs, l.reapMs = nowMs, nowMs, nowMs+s.cfg.ReapInterval.Milliseconds()
	}
	s.forgiveSilent(nowMs)
	l.due = l.live.Tick(nowMs, l.due[:0])
	for ids := range slices.Chunk(l.due, maxExpirePerCommand) {
		s.decide(&tree.Command{Kind: tree.KindExpire, Term: l.leadership.Term, Sessions: ids})
	}
	if nowMs >= l.reapMs || nowMs < l.reapMs-2*s.cfg.ReapInterval.Milliseconds() { // the clock may have been put back
		l.reapMs = nowMs + s.cfg.ReapInterval.Milliseconds()
		s.reap()
	}
	if nowMs >= l.configMs || nowMs < l.configMs-configEveryMs {
		l.configMs = nowMs + configEveryMs
		s.publishConfig()
	}
}

// reap proposes to delete the container and TTL nodes that are due.
func (s *Server) reap() {
	paths := s.tree.Reapable(max(s.lead.nowMs, s.lead.timeMs), s.cfg.MaxReap)
	for part := range slices.Chunk(paths, maxReapPerCommand) {
		cmd := tree.Command{Kind: tree.KindReap, Term: s.lead.leadership.Term}
		for _, p := range part {
			cmd.Ops = append(cmd.Ops, tree.Op{Code: zk.OpDeleteContainer, Path: p})
		}
		s.decide(&cmd)
	}
}

// decide proposes a command of the leader. If the replica is busy it is not proposed: what it was for will be due again.
func (s *Server) decide(c *tree.Command) {
	if err := s.rep.TryPropose(c.Append(nil), nil); err != nil {
		s.noisy.info("a decision of the leader has to wait", "error", err)
	}
}

// publishConfig keeps /zookeeper/config up to date: clients such as Curator replace their connection string by it.
func (s *Server) publishConfig() {
	l := &s.lead
	if len(s.cfg.Members) == 0 || l.proposed {
		return
	}
	old, _, _ := s.tree.Get(configPath, superAuth)
	was, version := parseLines(string(old))
	lines, missing := s.present(was)
	if missing > 0 && l.nowMs-l.sinceMs < configWaitMs && l.job == nil {
		return
	}
	body := lines.String()
	if strings.HasPrefix(string(old), body+versionKey) {
		s.settleReconfig()
		return
	}
	l.proposed = true
	data := body + versionKey + strconv.FormatInt(version+1, 16)
	cmd := tree.Command{Kind: tree.KindConfig, Ops: []tree.Op{{Code: zk.OpSetData, Path: configPath, Data: []byte(data), Version: -1}}}
	if err := s.rep.TryPropose(cmd.Append(nil), (*configDone)(s)); err != nil {
		l.proposed = false
	}
}

var superAuth = []zk.ID{{Scheme: schemeSuper}}

// configDone is the waiter of a KindConfig.
type configDone Server

// Done implements replica.Waiter.
func (s *configDone) Done(any, error) {
	s.lead.proposed = false
	s.lead.configMs = s.lead.nowMs // look at once whether it is as it should be now
}

const (
	configPath = "/zookeeper/config"
	versionKey = "version="
)

// leadingFor is how long this server has led; 0 if it does not.
func (s *Server) leadingFor() time.Duration {
	since := s.leadingSince.Load()
	if since == 0 {
		return 0
	}
	return time.Duration(s.now() - since)
}
