package server

import (
	"time"

	"gopherwood/internal/node"
	"gopherwood/internal/tree"
)

// Sessions are heard by the server that their clients are connected to, which tells the leader a few times a second. If it tells nothing, because it
// has died or is too busy, that says nothing about the clients: they have their full timeout again, from when the leader notices. So in the
// reconnect storm after a server's death its clients have a whole timeout to get through, and not what was left of it.

// voices is when each server was last heard by the leader, in ms of Tick. The loop goroutine owns it.
type voices map[uint16]int64

// hear notes a report of a server.
func (v voices) hear(from uint64, nowMs int64) {
	if id := node.ServerOf(from); len(v) < maxMembers || v[id] != 0 {
		v[id] = max(1, nowMs)
	}
}

// reportEvery is how often every server reports.
func (s *Server) reportEvery() time.Duration {
	return min(max(ms(s.cfg.MinSessionTimeoutMs)/8, 50*time.Millisecond), 500*time.Millisecond)
}

// silentRounds: a server that has left out so many reports is silent.
const silentRounds = 3

// forgiveSilent gives the sessions of servers that have fallen silent their full timeout, once for each silence.
func (s *Server) forgiveSilent(nowMs int64) {
	limit := silentRounds * s.reportEvery().Milliseconds()
	for id, at := range s.lead.voices { // in any order: each has its own sessions
		if nowMs-at <= limit {
			continue
		}
		delete(s.lead.voices, id)
		n := 0
		s.tree.Sessions(func(i tree.SessionInfo) bool {
			if node.ServerOf(i.Owner) == id {
				s.lead.live.Touch(i.ID)
				n++
			}
			return true
		})
		if n > 0 {
			s.noisy.info("a server reports nothing, so its sessions have their full timeout again", "silent", id, "sessions", n)
		}
	}
}
