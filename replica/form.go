package replica

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/node"
	"gopherwood/internal/peer"
	"gopherwood/internal/raftlog"
)

// How a server finds its ensemble. An empty directory gets a random incarnation, written down before anybody hears of it. Then the server asks
// its peers, and one of three things holds:
//
//   - a peer belongs to an ensemble that was formed with this very incarnation: the server starts as one of its first
//     voters. It never voted, since it would have written that it had started;
//   - a peer belongs to an ensemble formed without it: this is a replacement for a lost disk. It asks to join, and the leader adds it as
//     a learner and later swaps it for its predecessor;
//   - no peer belongs to any, and ALL that vote have answered and name the same voters: the incarnations make the ensemble, the same wherever it is
//     computed. An observer waits until it is formed, and joins. A majority is not enough here: the servers that are missing might be the ones that hold the data.

// identify reads who this server is, or makes it up.
func (r *Replica) identify() error {
	id, err := readIdentity(r.cfg.fs, r.cfg.Dir)
	if err != nil {
		return err
	}
	if id == nil {
		if id, err = newIdentity(r.cfg.ServerID); err != nil {
			return err
		}
	}
	if have := node.ServerOf(id.RaftID); have != r.cfg.ServerID {
		return fmt.Errorf("replica: the data in %s belongs to server %d, this is server %d; check the server id and the data directory", r.cfg.Dir, have, r.cfg.ServerID)
	}
	if len(id.Bootstrap) == 1 && r.cfg.voters() > 1 && !id.Restored {
		return fmt.Errorf("replica: the data in %s belongs to a server that was started alone; it can't become part of an ensemble by configuration", r.cfg.Dir)
	}
	if id.formed() && len(id.Bootstrap) != 1 && r.cfg.alone() {
		return fmt.Errorf("replica: the data in %s belongs to an ensemble of several servers; name its servers, or use another directory", r.cfg.Dir)
	}
	id.newOrigin(time.Now().UnixMilli())
	r.identity = *id
	r.origin.Store(id.Origin)
	return r.identity.write(r.cfg.fs, r.cfg.Dir)
}

func newIdentity(server uint16) (*identity, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("replica: no randomness for an incarnation: %w", err)
	}
	return &identity{RaftID: node.MakeID(server, binary.LittleEndian.Uint64(b[:])|1)}, nil
}

func (r *Replica) logDir() string { return filepath.Join(r.cfg.Dir, "log") }

// openLog opens the log of a member. A log that is damaged where it can't be by a crash is put aside: the member comes back as another incarnation.
func (r *Replica) openLog() error {
	l, err := raftlog.Open(r.cfg.fs, r.logDir(), r.logOptions())
	var damage *raftlog.CorruptError
	if errors.As(err, &damage) && !r.cfg.alone() {
		return r.condemn(damage)
	}
	if err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	r.raftlog = l
	return nil
}

// reopenLog opens the log of a server that belongs to an ensemble. With an empty one it never does under its old id: a founder's log begins before
// its identity says so, and whoever was let in and lost its log would not know what it had acknowledged.
func (r *Replica) reopenLog() error {
	was := r.identity.RaftID
	if err := r.openLog(); err != nil || !r.raftlog.Empty() || r.identity.RaftID != was {
		return err
	}
	if err := r.raftlog.Close(); err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	r.raftlog = nil
	if r.cfg.alone() {
		return fmt.Errorf("replica: the log in %s is gone; restore it, or empty %s to start with nothing", r.logDir(), r.cfg.Dir)
	}
	if len(r.identity.Bootstrap) > 0 {
		r.log.Error("the log is gone; this server rejoins as a new member", "dir", r.logDir())
	}
	if err := r.renew(); err != nil {
		return err
	}
	return r.freshLog()
}

// renew gives the server a new incarnation in the same ensemble.
func (r *Replica) renew() error {
	id, err := newIdentity(r.cfg.ServerID)
	if err != nil {
		return err
	}
	id.ClusterID = r.identity.ClusterID
	id.Origin = r.identity.Origin
	r.identity = *id
	return r.identity.write(r.cfg.fs, r.cfg.Dir)
}

func (r *Replica) logOptions() raftlog.Options {
	o := raftlog.Options{NoDirect: r.cfg.BufferedLog}
	binary.LittleEndian.PutUint64(o.Identity[:], r.identity.ClusterID)
	binary.LittleEndian.PutUint64(o.Identity[8:], r.identity.RaftID)
	return o
}

// condemn moves a damaged log aside and gives the server a new incarnation, which will join its ensemble as a learner. If the process dies
// in between, reopenLog finds no log under the old one.
func (r *Replica) condemn(damage error) error {
	aside := fmt.Sprintf("%s.damaged-%d", r.logDir(), time.Now().UnixMilli())
	r.log.Error("the log is damaged in the middle; it is put aside, and this server rejoins as a new member", "error", damage, "kept", aside)
	if err := r.cfg.fs.Rename(r.logDir(), aside); err != nil {
		return fmt.Errorf("replica: put the damaged log aside: %w", err)
	}
	if err := r.cfg.fs.SyncDir(r.cfg.Dir); err != nil {
		return fmt.Errorf("replica: put the damaged log aside: %w", err)
	}
	if err := r.renew(); err != nil {
		return err
	}
	return r.openLog()
}

// form finds the ensemble; it returns at once for a member of one.
func (r *Replica) form() error {
	if r.raftlog != nil {
		return nil
	}
	if r.cfg.alone() {
		return r.formWith([]uint64{r.identity.RaftID})
	}
	ask := time.NewTicker(formEvery)
	defer ask.Stop()
	var work batchOfEvents
	known := make(map[uint16]peer.Probe)
	var lastLog time.Time
	for {
		select {
		case <-ask.C:
			r.probe()
			if time.Since(lastLog) > formLogEvery {
				lastLog = time.Now()
				r.waitsFor(known)
			}
		case <-r.inbox.wake:
		case <-r.ctx.Done():
			return ErrClosed
		}
		r.inbox.take(&work)
		for _, c := range work.calls {
			c.run()
		}
		for _, m := range work.messages {
			if m.Kind == peer.KindProbeReply {
				known[node.ServerOf(m.From)] = m.Probe
			}
		}
		if done, err := r.decide(known); done || err != nil {
			return err
		}
	}
}

func (r *Replica) probe() {
	for server := range r.peers() {
		if server != r.cfg.ServerID {
			r.transport.Send(server, &peer.Message{Kind: peer.KindProbe, From: r.identity.RaftID, Probe: *r.info.Load()})
		}
	}
}

// waitsFor says, in the log and in the status, which servers have not been heard of.
func (r *Replica) waitsFor(known map[uint16]peer.Probe) {
	var missing []string
	for _, server := range slices.Sorted(maps.Keys(r.cfg.Peers)) {
		if server == r.cfg.ServerID || r.cfg.observes(server) {
			continue
		}
		if p, ok := known[server]; !ok {
			missing = append(missing, fmt.Sprintf("%d (%s)", server, r.cfg.Peers[server]))
		} else if p.ClusterID == 0 && !r.agrees(&p) {
			missing = append(missing, fmt.Sprintf("%d (%s), whose list of servers differs from this one's", server, r.cfg.Peers[server]))
		}
	}
	if len(missing) == 0 {
		return
	}
	s := Status{Forming: "waiting for server " + strings.Join(missing, ", ")}
	s.RaftID, s.Role = r.identity.RaftID, "forming"
	r.status.Store(&s)
	r.log.Info("looking for the ensemble: a new one is formed once all of its servers have been seen; start them, or correct the list of servers", "missing", missing)
}

// decide applies the three rules to what the peers said. Replies are looked at in the order of server ids.
func (r *Replica) decide(known map[uint16]peer.Probe) (bool, error) {
	join := uint64(0)
	fresh := []uint64{r.identity.RaftID}
	for _, server := range slices.Sorted(maps.Keys(known)) {
		p := known[server]
		if p.ClusterID == 0 {
			if _, listed := r.cfg.Peers[server]; listed && !r.cfg.observes(server) && r.agrees(&p) {
				fresh = append(fresh, p.RaftID)
			}
			continue
		}
		ids := make([]uint64, 0, len(p.Members))
		for _, m := range p.Members {
			ids = append(ids, m.RaftID)
		}
		if slices.Contains(ids, r.identity.RaftID) {
			return true, r.formWith(ids)
		}
		if join != 0 && join != p.ClusterID {
			return false, fmt.Errorf("replica: the servers in the list belong to different ensembles, %016x and %016x; correct the list", join, p.ClusterID)
		}
		join = p.ClusterID // also from one who does not know the founders, because it joined later itself
	}
	if join != 0 {
		return true, r.joinCluster(join)
	}
	if len(fresh) == r.cfg.voters() && !r.cfg.observes(r.cfg.ServerID) {
		slices.Sort(fresh)
		return true, r.formWith(fresh)
	}
	return false, nil
}

// formWith makes this server a first voter of the ensemble of those incarnations. The identity is written last: until then the log counts for nothing.
func (r *Replica) formWith(ids []uint64) error {
	r.identity.ClusterID = clusterOf(ids)
	r.identity.Bootstrap = ids
	if err := r.freshLog(); err != nil {
		return err
	}
	first := &raftlog.Record{
		Snapshot: &pb.SnapshotMetadata{
			Index: new(uint64(node.BootstrapIndex)), Term: new(uint64(node.BootstrapTerm)), ConfState: &pb.ConfState{Voters: ids},
		},
		HardState: &pb.HardState{Term: new(uint64(node.BootstrapTerm)), Vote: new(uint64(0)), Commit: new(uint64(node.BootstrapIndex))},
	}
	w := r.raftlog.Writer()
	if err := w.Write([]*raftlog.Record{first}); err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	if err := w.Sync(); err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	r.raftlog.Stable(first)
	r.log.Info("the ensemble is formed", "servers", len(ids), "cluster", fmt.Sprintf("%016x", r.identity.ClusterID))
	return r.becomeMember()
}

// joinCluster makes this server somebody who waits to be let in: an empty log, no configuration, no vote.
func (r *Replica) joinCluster(cluster uint64) error {
	r.identity.ClusterID = cluster
	if err := r.freshLog(); err != nil {
		return err
	}
	r.log.Info("the ensemble exists already; this server joins it as a new member", "cluster", fmt.Sprintf("%016x", cluster))
	return r.becomeMember()
}

// freshLog opens an empty log. Files of an earlier try, which never counted, are removed.
func (r *Replica) freshLog() error {
	names, err := r.cfg.fs.List(r.logDir())
	if err == nil {
		for _, name := range names {
			if err := r.cfg.fs.Remove(filepath.Join(r.logDir(), name)); err != nil {
				return fmt.Errorf("replica: clear an unfinished log: %w", err)
			}
		}
	}
	return r.openLog()
}

func (r *Replica) becomeMember() error {
	if err := r.identity.write(r.cfg.fs, r.cfg.Dir); err != nil {
		return err
	}
	if r.transport != nil {
		r.info.Store(&peer.Probe{ClusterID: r.identity.ClusterID, RaftID: r.identity.RaftID, Members: membersOf(r.identity.Bootstrap)})
		r.transport.SetIdentity(r.identity.RaftID, r.identity.ClusterID)
	}
	return nil
}

func membersOf(ids []uint64) []peer.Member {
	var members []peer.Member
	for _, id := range ids {
		members = append(members, peer.Member{RaftID: id, ServerID: node.ServerOf(id)})
	}
	return members
}
