package sim

import "gopherwood/internal/peer"

func (s *simulation) faultTransfer(*server) bool {
	any := false
	for _, v := range s.servers {
		if p := v.proc; p != nil && p.node != nil {
			p.run(func() {
				if p.node.Transfer() {
					any = true
					s.log(v.id, "hands leadership over", 0, 0, 0)
				}
			})
		}
	}
	return any
}

// faultReshape makes some of the servers voters, others observers, and leaves some out. Who is left out goes on as a guest and may be back in the next.
func (s *simulation) faultReshape(*server) bool {
	leave := s.faults.Float64() * s.faults.Float64() * 0.5
	observe := s.faults.Float64() * 0.5
	keep := s.faults.IntN(len(s.servers))
	var target []peer.Member
	for i, v := range s.servers {
		switch {
		case i == keep:
			target = append(target, peer.Member{ServerID: v.id})
		case !s.faults.chance(leave):
			target = append(target, peer.Member{ServerID: v.id, Observer: s.faults.chance(observe)})
		}
	}
	return s.reshape(target)
}

// reshape has whoever leads change the ensemble. That it is refused is no mistake: a server may be down or behind.
func (s *simulation) reshape(target []peer.Member) bool {
	any := false
	for _, v := range s.servers {
		if p := v.proc; p != nil && p.node != nil && p.lead.Mine {
			p.run(func() {
				if err := p.node.Reconfigure(target); err == nil {
					any = true
					s.log(v.id, "changes the ensemble", 0, 0, 0)
				}
			})
		}
	}
	return any
}

// everybodyInPlace brings the ensemble back to what it was at first.
func (s *simulation) everybodyInPlace() {
	var target []peer.Member
	for _, v := range s.servers {
		target = append(target, peer.Member{ServerID: v.id, Observer: v.observer})
	}
	s.reshape(target)
}
