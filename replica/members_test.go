package replica

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// newcomer starts one more server, which knows the others and itself; they do not know it.
func newcomer(t *testing.T, servers []*server, id uint16) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peers := maps.Clone(servers[0].peers)
	peers[id] = l.Addr().String()
	return &server{t: t, id: id, dir: filepath.Join(t.TempDir(), fmt.Sprint(id)), peers: peers}
}

// reconfigure asks all until the leader has done it.
func reconfigure(t *testing.T, servers []*server, target []Member) {
	t.Helper()
	ctx := within(t)
	for ctx.Err() == nil {
		for _, s := range servers {
			err := s.r.Reconfigure(ctx, target)
			var absent *NotSyncedError
			switch {
			case err == nil:
				return
			case errors.Is(err, ErrNotLeader), errors.Is(err, ErrReconfigInProgress), errors.As(err, &absent):
			default:
				t.Fatal(err)
			}
		}
	}
	t.Fatal("nobody made the change")
}

func voting(ids ...uint16) []Member {
	var members []Member
	for _, id := range ids {
		members = append(members, Member{ServerID: id})
	}
	return members
}

// waitRole waits until a server has a role.
func (s *server) waitRole(role string) {
	s.t.Helper()
	for ctx := within(s.t); s.r.Status().Role != role; {
		if ctx.Err() != nil {
			s.t.Fatalf("server %d is a %s, want a %s", s.id, s.r.Status().Role, role)
		}
	}
}

func TestEnsembleGrowsAndShrinks(t *testing.T) {
	servers := ensemble(t, 3)
	servers[0].add(1)
	for id := uint16(4); id <= 5; id++ { // the fifth knows the fourth only if it is told by the others
		s := newcomer(t, servers[:3], id)
		s.start()
		servers = append(servers, s)
		s.add(10) // as a guest
	}
	reconfigure(t, servers, voting(1, 2, 3, 4, 5))
	for _, s := range servers {
		s.add(100)
		if r := s.r.Status().Role; r == "learner" {
			t.Errorf("server %d is a %s", s.id, r)
		}
	}
	for _, s := range servers {
		s.wantSum(521, 8)
	}
	first := servers[0] // whose own list has three servers
	first.r.Close()
	first.start()
	first.wantSum(521, 8)

	leaving := leaderOf(t, servers...)
	stay := slices.DeleteFunc(slices.Clone(servers), func(s *server) bool { return s == leaving })
	var ids []uint16
	for _, s := range stay {
		ids = append(ids, s.id)
	}
	reconfigure(t, servers, voting(ids...))
	for _, s := range stay {
		s.add(1000)
	}
	leaving.waitRole("learner") // it has found out, and follows as a guest
	leaving.wantSum(4521, 12)
}

func TestObserverFollows(t *testing.T) {
	servers := ensemble(t, 3)
	o := newcomer(t, servers, 4)
	o.observers = []uint16{4}
	o.start()
	o.add(7)
	servers[0].wantSum(7, 1)
	o.wantSum(7, 1)
	if s := o.r.Status(); s.Role != "learner" || !slices.ContainsFunc(s.Members, func(m MemberStatus) bool { return m.ServerID == 4 && m.Observer }) {
		t.Errorf("role %s, members %+v", s.Role, s.Members)
	}
}

// Observers that are configured from the start are not waited for, and form nothing by themselves.
func TestEnsembleFormsWithoutItsObservers(t *testing.T) {
	proto := ensemble(t, 3)
	for _, s := range proto {
		s.r.Close()
	}
	fresh := func(id uint16) *server {
		return &server{t: t, id: id, dir: filepath.Join(t.TempDir(), fmt.Sprint("again", id)), peers: proto[0].peers, observers: []uint16{3}}
	}
	three := fresh(3)
	three.start()
	one, two := fresh(1), fresh(2)
	one.start()
	two.start()
	one.add(5)
	three.wantSum(5, 1)
	three.waitRole("learner")
}

// Servers whose lists differ form nothing together: one with a longer list waits until the others have formed theirs, and joins.
func TestListsThatDifferFormNoEnsemble(t *testing.T) {
	proto := ensemble(t, 3)
	for _, s := range proto {
		s.r.Close()
	}
	var servers []*server
	for _, s := range proto {
		servers = append(servers, &server{t: t, id: s.id, dir: filepath.Join(t.TempDir(), fmt.Sprint("again", s.id)), peers: s.peers})
	}
	four := newcomer(t, servers, 4)
	four.start()
	servers[0].start()
	servers[1].start()
	servers[2].start()
	four.add(3)
	for _, s := range append(servers, four) {
		s.wantSum(3, 1)
	}
	four.waitRole("learner")
}

// TestPortChange: a member that gets another port for the others listens there and no more on the old one, as soon as the port can be had, and also after a restart
// with a configuration that says the old one.
func TestPortChange(t *testing.T) {
	servers := ensemble(t, 3)
	servers[0].add(1)
	s := servers[2]
	old := s.peers[s.id]
	blocker, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := voting(1, 2, 3)
	target[2].PeerAddr = blocker.Addr().String()
	reconfigure(t, servers, target)
	servers[0].add(10)
	if err := blocker.Close(); err != nil {
		t.Fatal(err)
	}
	waitMoved(t, old, target[2].PeerAddr)
	s.add(100)
	if err := s.r.Close(); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.add(1000)
	s.wantSum(1111, 4)
	waitMoved(t, old, target[2].PeerAddr)
}

// waitMoved waits until a port is closed and another one open.
func waitMoved(t *testing.T, from, to string) {
	t.Helper()
	accepts := func(addr string) bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	for ctx := within(t); accepts(from) || !accepts(to); time.Sleep(10 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("%s accepts: %v, %s: %v", from, accepts(from), to, accepts(to))
		}
	}
}
