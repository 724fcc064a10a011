package server

import (
	"encoding/binary"

	"gopherwood/internal/node"
	"gopherwood/internal/planted"
)

// Datagrams from every server to the leader, best effort (Replicator.ToLeader):
//
//	| 1 | session int64 …     sessions that were heard from since the last one; at most maxReportIDs
//	| 2 | address             where clients reach the sender
//	| 3, 4 |                  see reconfig.go
//
// Numbers are little endian. A datagram that is lost is made up for by the next: clients ping three times per timeout.
const (
	reportSessions = 1
	reportAddress  = 2
)

// Message implements replica.MessageHandler: a datagram has come.
func (s *Server) Message(from uint64, data []byte) {
	if len(data) == 0 {
		return
	}
	kind, data := data[0], data[1:]
	switch {
	case kind == reportOutcome:
		s.gotOutcome(data)
		return
	case !s.lead.mine(): // the rest is for the leader
		return
	}
	s.lead.voices.hear(from, s.lead.nowMs)
	switch kind {
	case reportReconfig:
		s.askedToReconfig(from, data)
	case reportSessions:
		for n := 0; len(data) >= 8 && n < maxReportIDs; n++ {
			s.lead.live.Touch(int64(binary.LittleEndian.Uint64(data)))
			data = data[8:]
		}
	case reportAddress:
		id := uint64(node.ServerOf(from))
		if len(data) > maxAddressBytes || s.lead.addrs[id] == string(data) {
			return
		}
		if len(s.lead.addrs) < maxMembers || s.lead.addrs[id] != "" {
			s.lead.addrs[id] = string(data)
			s.lead.configMs = s.lead.nowMs // look at once
		}
	}
}

// report tells the leader which sessions were heard from.
func (s *Server) report(heard []int64) {
	if planted.ReportIncomplete.On() && len(heard) > 0 {
		heard = heard[1:]
	}
	for first := true; first || len(heard) > 0; first = false { // an empty one says that this server is there
		part := heard[:min(len(heard), maxReportIDs)]
		heard = heard[len(part):]
		b := make([]byte, 1, 1+8*len(part))
		b[0] = reportSessions
		for _, id := range part {
			b = binary.LittleEndian.AppendUint64(b, uint64(id))
		}
		s.rep.ToLeader(b)
	}
	if addr := s.clientAddr(); addr != "" && len(addr) <= maxAddressBytes {
		s.rep.ToLeader(append([]byte{reportAddress}, addr...))
	}
}
