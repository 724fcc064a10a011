package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopherwood/internal/server/zoocfg"
	"gopherwood/internal/wire"
	"gopherwood/replica"
	"gopherwood/zk"
)

// reconfig changes who is in the ensemble (PrepRequestProcessor, case reconfig). The server that is asked checks whether the client may, passes the request
// to the leader as a datagram, again and again until it is answered, and keeps the session's later requests waiting meanwhile. The leader works out the new ensemble, has
// the replica change to it, and answers once /zookeeper/config says so. A leader that leaves hands over first; the next one is asked then.
//
//	| 3 | number of the request uint64 | ReconfigRequest        to the leader
//	| 4 | number of the request uint64 | code int32             back; codeAskAgain: not now, or not me
const (
	reportReconfig = 3
	reportOutcome  = 4
)

// codeAskAgain is no code of ZooKeeper's: it stays between the members.
const codeAskAgain zk.Code = -1 << 30

// reconfigJob is the change that the leader is making. It belongs to the loop.
type reconfigJob struct {
	from   uint64 // raft id
	number uint64
	made   bool // the replica has begun
}

// reconfigs are the requests of this server's clients. It is guarded by Server.mu.
type reconfigs struct {
	last    uint64
	waiting map[uint64]chan zk.Code
}

// reconfig handles a client's request on its reader, which waits for the outcome.
func (r *run) reconfig(h *wire.RequestHeader, body []byte) error {
	var req wire.ReconfigRequest
	d := wire.NewDecoder(body)
	req.Decode(&d)
	if err := d.Err(); err != nil {
		return r.malformed(h, err)
	}
	c := r.c
	r.release()
	c.flushWait()
	c.mu.Lock()
	alive := c.waitLocked(waitIdle) // everything before it is answered
	c.mu.Unlock()
	if !alive {
		return errEnded
	}
	code := c.srv.reconfigure(c, body)
	c.srv.auditReconfig(c, code)
	if code != zk.OK {
		r.decided(h, code, moreReplies)
		return nil
	}
	get := wire.GetDataRequest{Path: configPath}
	r.hold()
	out := c.outLocked()
	out.b = c.execute(out.b, zk.OpGetData, h.Xid, get.Append(nil), superAuth)
	c.note(h.Type, h.Xid, r.startNs, 0)
	r.release()
	return nil
}

// reconfigure carries a request to the leader and waits for the outcome, and then until it can be read here.
func (s *Server) reconfigure(c *conn, body []byte) zk.Code {
	switch {
	case !s.cfg.Reconfig:
		s.noisy.warn("a client asked for reconfig, which is switched off; set reconfigEnabled=true (--reconfig) on every server to allow it", "client", c)
		return zk.ErrReconfigDisabled
	case len(s.cfg.Members) <= 1:
		return zk.ErrUnimplemented
	}
	s.treeMu.RLock()
	may := s.tree.Permits(configPath, zk.PermWrite, c.auth)
	s.treeMu.RUnlock()
	if !may {
		return zk.ErrNoAuth
	}
	number, outcome := s.expectOutcome()
	defer s.forgetOutcome(number)
	late := s.now() + int64(s.cfg.ReconfigTimeout)
	message := append(binary.LittleEndian.AppendUint64([]byte{reportReconfig}, number), body...)
	var code zk.Code
	for {
		s.rep.ToLeader(slices.Clone(message))
		c.heard.Store(true) // its pings wait behind this
		answer, ok := receive(s, outcome, reconfigRetry)
		if ok && answer != codeAskAgain {
			code = answer
			break
		}
		switch {
		case ok && !s.pause(reconfigRetry), s.isClosed():
			return zk.ErrConnectionLoss
		case s.now() > late:
			s.log.Warn("a reconfig was not finished in time; it may still happen", "client", c, "waited", s.cfg.ReconfigTimeout)
			return zk.ErrOperationTimeout
		}
	}
	if code != zk.OK {
		return code
	}
	b := &barrier{s: s, done: make(chan barrierDone, 1)}
	s.rep.Barrier(b)
	if _, ok := receive(s, b.done, time.Duration(late-s.now())); !ok {
		return zk.ErrOperationTimeout
	}
	return zk.OK
}

func (s *Server) expectOutcome() (uint64, chan zk.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.reconfigs
	if r.waiting == nil {
		r.waiting = make(map[uint64]chan zk.Code)
		r.last = uint64(s.start.UnixNano()) // no number of an earlier start
	}
	r.last++
	ch := make(chan zk.Code, 1)
	r.waiting[r.last] = ch
	return r.last, ch
}

func (s *Server) forgetOutcome(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.reconfigs.waiting, number)
}

// gotOutcome takes the leader's answer.
func (s *Server) gotOutcome(data []byte) {
	if len(data) != 12 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch := s.reconfigs.waiting[binary.LittleEndian.Uint64(data)]; ch != nil && len(ch) == 0 { // else nobody waits, or an answer is there already
		post(s, ch, zk.Code(int32(binary.LittleEndian.Uint32(data[8:]))))
	}
}

// askedToReconfig is the leader's side, on the loop.
func (s *Server) askedToReconfig(from uint64, data []byte) {
	if len(data) < 8 {
		return
	}
	l := &s.lead
	number := binary.LittleEndian.Uint64(data)
	if l.job != nil {
		if l.job.from != from || l.job.number != number {
			s.answerReconfig(from, number, zk.ErrReconfigInProgress)
		}
		return
	}
	var req wire.ReconfigRequest
	d := wire.NewDecoder(data[8:])
	if req.Decode(&d); d.Err() != nil {
		s.answerReconfig(from, number, zk.ErrBadArguments)
		return
	}
	next, code, err := s.nextEnsemble(&req)
	if code != zk.OK {
		s.log.Warn("a reconfig is refused", "error", err)
		s.answerReconfig(from, number, code)
		return
	}
	var target []replica.Member
	for _, id := range sortedKeys(next) {
		line := next[id]
		target = append(target, replica.Member{ServerID: uint16(id), PeerAddr: line.PeerAddr(), ClientAddr: clientAddr(line), Observer: line.Observer})
	}
	job := &reconfigJob{from: from, number: number}
	l.job, l.asked = job, next
	s.rep.BeginReconfigure(target, func(err error) { s.reconfigBegun(job, err) })
}

func clientAddr(line zoocfg.Server) string {
	if line.ClientPort == 0 {
		return ""
	}
	return net.JoinHostPort(line.ClientHost, strconv.Itoa(line.ClientPort))
}

// reconfigBegun is told whether the replica makes the change.
func (s *Server) reconfigBegun(job *reconfigJob, err error) {
	var absent *replica.NotSyncedError
	code := zk.OK
	switch {
	case err == nil:
		job.made = true
		s.lead.configMs = s.lead.nowMs
		return
	case errors.Is(err, replica.ErrNotLeader):
		code = codeAskAgain
	case errors.Is(err, replica.ErrReconfigInProgress):
		code = zk.ErrReconfigInProgress
	case errors.As(err, &absent):
		code = zk.ErrNewConfigNoQuorum
	default:
		code = zk.ErrBadArguments
	}
	s.log.Warn("a reconfig is not made", "error", err)
	if s.lead.job == job {
		s.lead.job, s.lead.asked = nil, nil
	}
	s.answerReconfig(job.from, job.number, code)
}

// settleReconfig answers the request whose change is made. The leader calls it when /zookeeper/config shows the members as they are.
func (s *Server) settleReconfig() {
	l := &s.lead
	if l.job == nil || !l.job.made || l.joint || len(l.members) != len(l.asked) {
		return
	}
	for _, m := range l.members {
		if line, ok := l.asked[uint64(m.ServerID)]; !ok || line.Observer != m.Observer {
			return
		}
	}
	s.answerReconfig(l.job.from, l.job.number, zk.OK)
	l.job, l.asked = nil, nil
}

func (s *Server) answerReconfig(to, number uint64, code zk.Code) {
	data := binary.LittleEndian.AppendUint64([]byte{reportOutcome}, number)
	data = binary.LittleEndian.AppendUint32(data, uint32(code))
	if to == s.lead.leadership.Leader && s.lead.mine() {
		s.gotOutcome(data[1:])
		return
	}
	s.rep.ToMember(to, data)
}

// nextEnsemble is the ensemble that a request asks for.
func (s *Server) nextEnsemble(req *wire.ReconfigRequest) (ensembleLines, zk.Code, error) {
	data, _, _ := s.tree.Get(configPath, superAuth)
	old, version := parseLines(string(data))
	if req.CurConfigID != -1 && req.CurConfigID != version {
		return nil, zk.ErrBadVersion, fmt.Errorf("it is meant for version %x of the configuration, which is at %x", req.CurConfigID, version)
	}
	now, _ := s.present(old)
	next := maps.Clone(now)
	var err error
	if req.NewMembers != nil {
		next = make(ensembleLines)
		err = next.add(strings.ReplaceAll(string(req.NewMembers), "\n", ","))
	} else {
		err = errors.Join(next.remove(string(req.LeavingServers)), next.add(string(req.JoiningServers)))
	}
	if err != nil {
		return nil, zk.ErrBadArguments, err
	}
	voters := 0
	for _, line := range next {
		if !line.Observer {
			voters++
		}
	}
	least := 2
	if s.cfg.StandaloneOff {
		least = 1
	}
	if voters < least {
		return nil, zk.ErrBadArguments, fmt.Errorf("it would leave %d voters, and at least %d are needed", voters, least)
	}
	return next, zk.OK, nil
}

// remove takes out servers by number; one that is not there is none the less gone.
func (l ensembleLines) remove(leaving string) error {
	for id := range strings.SplitSeq(leaving, ",") {
		if id = strings.TrimSpace(id); id == "" {
			continue
		}
		n, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no server's number", id)
		}
		delete(l, n)
	}
	return nil
}

// add puts in server.N lines, in the place of those of the same number.
func (l ensembleLines) add(joining string) error {
	for spec := range strings.SplitSeq(joining, ",") {
		if spec = strings.TrimSpace(spec); spec == "" || strings.HasPrefix(spec, versionKey) {
			continue
		}
		key, value, ok := strings.Cut(spec, "=")
		number := key[strings.LastIndexByte(key, '.')+1:]
		if !ok {
			return fmt.Errorf("%q is not server.N=host:2888:3888;2181", spec)
		}
		s, err := zoocfg.ParseServer(number, strings.TrimSpace(value))
		switch {
		case err != nil:
			return fmt.Errorf("%s %w", spec, err)
		case s.ClientPort == 0 || s.ElectPort == 0:
			return fmt.Errorf("%s needs three ports, as in server.N=host:2888:3888;2181", spec)
		}
		if s.ClientHost == "" {
			s.ClientHost = "0.0.0.0"
		}
		for id, other := range l {
			if id != s.ID && other.PeerAddr() == s.PeerAddr() {
				return fmt.Errorf("%s has the address of server %d", spec, id)
			}
		}
		l[s.ID] = s
	}
	return nil
}
