package sim

// faultPartition cuts the servers into two groups.
func (s *simulation) faultPartition(v *server) bool {
	return s.block(s.between(s.split(v), true, true), s.faults.between(10, 1<<s.faults.IntN(14))*millisecond)
}

// faultOneWay cuts one direction between two groups.
func (s *simulation) faultOneWay(v *server) bool {
	there := s.faults.chance(0.5)
	return s.block(s.between(s.split(v), there, !there), s.faults.between(10, 1<<s.faults.IntN(14))*millisecond)
}

// faultFlap cuts and mends again and again, all of a group or one pair, faster than anybody's timeout or about as fast.
func (s *simulation) faultFlap(v *server) bool {
	links := s.between(s.split(v), true, s.faults.chance(0.7))
	if len(links) > 0 && s.faults.chance(0.5) {
		i := s.faults.IntN(len(links))
		links = links[i : i+1]
	}
	r, times := s.faults, 2+s.faults.IntN(20)
	down, up := s.faults.between(1, 1<<s.faults.IntN(10))*millisecond, s.faults.between(1, 1<<s.faults.IntN(10))*millisecond
	var again func()
	again = func() {
		if times--; times < 0 || s.calm {
			return
		}
		d := 1 + r.about(down)
		s.block(links, d)
		s.after(d+1+r.about(up), again)
	}
	again()
	return len(links) > 0
}

// split draws who is on one side of a partition: the victim, and often some others.
func (s *simulation) split(v *server) []bool {
	side := make([]bool, len(s.servers)+1)
	if s.faults.chance(0.5) {
		for i := range side {
			side[i] = s.faults.chance(0.5)
		}
	}
	side[v.id] = true
	return side
}

// between is the links out of a side, into it, or both.
func (s *simulation) between(side []bool, out, in bool) []*link {
	var links []*link
	s.each(func(l *link) {
		if a, b := side[l.from.id], side[l.to.id]; a && !b && out || b && !a && in {
			links = append(links, l)
		}
	})
	return links
}

// block lets nothing through some links for a while.
func (s *simulation) block(links []*link, d int64) bool {
	for _, l := range links {
		if l.blocked++; l.blocked == 1 {
			s.log(0, lineCut, uint64(l.from.id), uint64(l.to.id), 0)
		}
	}
	timeout := s.faults.between(2000, 8000) * millisecond
	if d > timeout { // the connections do not live through it
		s.after(timeout, func() {
			for _, l := range links {
				if l.blocked > 0 {
					l.breakUp()
					s.servers[l.to.id-1].links[l.from.id-1].breakUp()
				}
			}
		})
	}
	s.after(d, func() { s.unblock(links) })
	return len(links) > 0
}

func (s *simulation) unblock(links []*link) {
	for _, l := range links {
		if l.blocked == 0 {
			continue // healed
		}
		if l.blocked--; l.blocked == 0 {
			s.log(0, lineMended, uint64(l.from.id), uint64(l.to.id), 0)
			l.release()
		}
	}
}

// release sends on what a partition held up.
func (l *link) release() {
	held := l.held
	l.held = nil
	for _, frame := range held {
		l.transmit(frame)
	}
}

func (s *simulation) faultBreakLink(v *server) bool {
	any := false
	for _, l := range v.links {
		if l != nil && l.up() && s.faults.chance(0.5) {
			any = true
			l.breakUp()
		}
	}
	return any
}

// pickLink is a link from the server or to it, nil if it is alone.
func (s *simulation) pickLink(v *server) *link {
	if len(s.servers) < 2 {
		return nil
	}
	i := s.faults.IntN(len(s.servers) - 1)
	if i >= int(v.id)-1 {
		i++
	}
	if s.faults.chance(0.5) {
		return s.servers[i].links[v.id-1]
	}
	return v.links[i]
}

// faultHalfOpen takes one end of a connection away: the other sends into it, without an error, until a timeout tells.
func (s *simulation) faultHalfOpen(v *server) bool {
	l := s.pickLink(v)
	if l == nil || !l.up() || l.silent {
		return false
	}
	s.log(0, "the connection from server %d to %d is half open", uint64(l.from.id), uint64(l.to.id), 0)
	l.halfOpen = true
	number := l.number
	s.after(s.faults.between(200, 8000)*millisecond, func() {
		if l.number == number && l.halfOpen {
			l.breakUp()
		}
	})
	return true
}

// faultSlowLink makes one link slow for a while: everything on it waits, and what follows waits behind it.
func (s *simulation) faultSlowLink(v *server) bool {
	l := s.pickLink(v)
	if l == nil {
		return false
	}
	l.slowBy, l.slowUntil = s.faults.between(1, 1<<s.faults.IntN(9))*millisecond, s.now+s.faults.between(100, 6000)*millisecond
	s.log(0, "the link from server %d to %d is slow by %d ms", uint64(l.from.id), uint64(l.to.id), uint64(l.slowBy/millisecond))
	return true
}

func (s *simulation) faultBadNet(*server) bool {
	s.badUntil = s.now + s.faults.between(10, 1<<s.faults.IntN(12))*millisecond
	s.log(0, "the network is bad for %d ms", uint64((s.badUntil-s.now)/millisecond), 0, 0)
	return true
}
