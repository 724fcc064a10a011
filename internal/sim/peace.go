package sim

import (
	"fmt"
	"strings"
)

// unrest says what is not yet as it has to be after the faults; nothing if all is well.
func (s *simulation) unrest() string {
	if s.ghost.conf() == nil {
		return "no configuration is known"
	}
	for _, v := range s.servers {
		p := v.proc
		switch {
		case p == nil:
			return fmt.Sprintf("server %d is down", v.id)
		case p.node == nil:
			return fmt.Sprintf("server %d has not joined", v.id)
		case p.done != p.seq || p.pending > 0:
			return fmt.Sprintf("server %d has been told of its commands up to %d of %d", v.id, p.done, p.seq)
		case p.barriers > 0:
			return fmt.Sprintf("server %d waits for %d barriers", v.id, p.barriers)
		case p.restoring:
			return fmt.Sprintf("server %d is restoring a snapshot", v.id)
		case p.checked != s.ghost.maxIndex:
			return fmt.Sprintf("server %d is at index %d, and %d was applied somewhere", v.id, p.checked, s.ghost.maxIndex)
		}
	}
	if s.swarm != nil {
		if why := s.swarm.unrest(); why != "" {
			return why
		}
	}
	if s.voterLost() {
		return "a voter whose disk is gone has not been replaced"
	}
	if s.misplaced() {
		return fmt.Sprintf("the configuration is still %v", s.ghost.conf())
	}
	return ""
}

// accounts is what each server says of itself, for a report.
func (s *simulation) accounts() string {
	var b strings.Builder
	for _, v := range s.servers {
		p := v.proc
		if p == nil || p.node == nil {
			fmt.Fprintf(&b, "server %d (%x): no node\n", v.id, v.raftID)
			continue
		}
		fmt.Fprintf(&b, "server %d: %+v\n  told %d of %d, %d pending, %d barriers, %d appends, writing %v\n", v.id, p.node.Status(), p.done, p.seq, p.pending, p.barriers, p.appends, p.writing)
	}
	return b.String()
}
