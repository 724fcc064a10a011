package node

import (
	"errors"
	"fmt"
	"log/slog"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/peer"
	"gopherwood/internal/planted"
	"gopherwood/internal/raftlog"
)

// Host carries out the effects. It is called from within the Node's methods, on their goroutine, and must not call back.
type Host interface {
	// Send hands a message to the member m.To and reports whether it went on its way; it may be lost all the same. What m
	// points to is the node's again when Send returns.
	Send(m *peer.Message) bool
	// Append makes the record durable, in the order of calls; then the owner calls Persisted with it.
	Append(r *raftlog.Record)
	// SendSnapshot streams the snapshot file that m names to m's addressee; then the owner calls SnapshotSent.
	SendSnapshot(m *pb.Message)
	// TakeSnapshot writes a snapshot file beside the running node; then the owner calls SnapshotTaken.
	TakeSnapshot(s *Snapshot)
	// Restore loads the snapshot file of that index into the state machine (Load), beside the running node, which applies
	// nothing meanwhile; then the owner calls Restored.
	Restore(index uint64)
	// Acked gives a chunk back: all of its commands are applied here.
	Acked(c *Chunk)
	// MembersChanged says who the members are now; the slice is not to be changed or kept.
	MembersChanged(m []peer.Member)
	// Diverged says that this replica's state differs from the leader's. It must not serve any more.
	Diverged(err *DivergedError)
}

// Log is the durable log as the node needs it; raftlog.Log is one. Its owner is the node's owner.
type Log interface {
	raft.Storage
	// Stable makes a durable record visible to raft.Storage, in the order of writing.
	Stable(r *raftlog.Record)
	// Compact forgets the entries up to index.
	Compact(index uint64)
	// SetSnapshot says that this is the newest snapshot file now.
	SetSnapshot(meta *pb.SnapshotMetadata)
	// BytesSince is how many bytes of log lie after index.
	BytesSince(index uint64) int64
}

// Config is what a Node is made of. It is copied.
type Config struct {
	// RaftID is this incarnation: server id << 48 | incarnation. Required.
	RaftID uint64
	// Origin is this process's origin stream: server id << 48 | a number higher than at every earlier start. Required.
	Origin uint64
	// ElectionTicks is raft's election timeout; the real one is drawn between this and twice this. Default 50.
	ElectionTicks int
	// HeartbeatTicks is the time between the leader's heartbeats, less than ElectionTicks. Default 5.
	HeartbeatTicks int
	// Inflight is how many batches the leader has in flight before it waits for the first to be applied, unless much has gathered
	// meanwhile. Few make large batches. Default 1.
	Inflight int
	// SnapshotBytes is how much log makes a new snapshot; the size of the last snapshot counts too if it is larger. Default 64 MiB.
	SnapshotBytes int64
	// KeepBytes is how much log behind a snapshot is kept for a member that lags or is away. Default 256 MiB,
	// which is some seconds of the heaviest load.
	KeepBytes int64
	// Logger takes what an operator should know. Default: nothing.
	Logger *slog.Logger
}

func (c *Config) fill() error {
	if c.RaftID == 0 || c.Origin == 0 {
		return errors.New("node: RaftID and Origin are required")
	}
	if ServerOf(c.RaftID) != ServerOf(c.Origin) {
		return fmt.Errorf("node: origin %x is not of server %d", c.Origin, ServerOf(c.RaftID))
	}
	setDefault(&c.ElectionTicks, 50)
	setDefault(&c.HeartbeatTicks, 5)
	setDefault(&c.Inflight, defaultInflight)
	setDefault(&c.SnapshotBytes, 64<<20)
	setDefault(&c.KeepBytes, 256<<20)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func setDefault[T int | int64](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}

type position struct{ index, term uint64 }

// appendJob is a MsgStorageAppend under way: what it must make durable, and the messages that may go only then.
type appendJob struct {
	record    *raftlog.Record // nil when there is nothing to write
	responses []*pb.Message
	done      bool
}

// Node is one replica. All methods belong to one owner.
type Node struct {
	// Constant after New.
	cfg      Config
	log      *slog.Logger
	host     Host
	sm       StateMachine
	batcher  Batcher
	observer LeaderObserver
	ticker   Ticker
	handler  MessageHandler
	digester Digester
	watcher  MembersObserver

	raw     *raft.RawNode
	storage Log
	nowMs   int64
	ticks   uint64

	// What raft says.
	lead      uint64
	term      uint64
	told      Leadership // what the observer was told last
	confState *pb.ConfState
	hard      *pb.HardState // last one handed to Append
	applied   position      // raft's applied <= committed
	commands  uint64        // applied since New

	state         *State
	origin        origin
	intake        intake
	barriers      barriers
	eager         eager
	snap          snapshots
	digests       digests
	appending     []appendJob
	asked         asked
	candidacy     []*pb.Message // MsgVotes, until the MsgStorageAppend of the same Ready that has the new term and the own vote
	restoring     bool
	batchDepth    int
	active        map[uint64]uint64 // leader: tick at which a member was last known to answer
	leadTick      uint64            // tick of the last change of leader or term
	heardLeader   uint64            // tick of the leader's last message
	changePending bool              // leader: it has proposed a change of members in this term that is not applied
	makingWay     bool              // leader: the last change makes others voters, so that it can hand over to one of them
	refusal       refusal           // of this server by the leader
	connected     map[uint64]bool   // raft ids; looked up only
	outOrigin     peer.Message
	outRaft       peer.Message
}

// New makes a replica from its log. state is what Load returned for the log's newest snapshot, nil if the log has none but that of its bootstrap.
func New(cfg Config, log Log, state *State, sm StateMachine, host Host) (*Node, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	hard, conf, err := log.InitialState()
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	snap, err := log.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	n := &Node{
		cfg: cfg, log: cfg.Logger, host: host, sm: sm, storage: log,
		confState: conf, hard: hard, state: state,
		applied:   position{snap.GetMetadata().GetIndex(), snap.GetMetadata().GetTerm()},
		origin:    origin{id: cfg.Origin, next: 1},
		connected: make(map[uint64]bool),
	}
	n.snap.index = n.applied.index
	n.batcher, _ = sm.(Batcher)
	n.observer, _ = sm.(LeaderObserver)
	n.ticker, _ = sm.(Ticker)
	n.handler, _ = sm.(MessageHandler)
	n.digester, _ = sm.(Digester)
	n.watcher, _ = sm.(MembersObserver)
	if n.state == nil {
		n.state = bootstrapState(conf)
	}
	if newer := n.state.originOf(ServerOf(cfg.Origin)); newer >= cfg.Origin {
		return nil, &OriginError{Known: newer}
	}
	n.intake.reset()
	n.raw, err = raft.NewRawNode(&raft.Config{
		ID: cfg.RaftID, ElectionTick: cfg.ElectionTicks, HeartbeatTick: cfg.HeartbeatTicks,
		Storage: log, Applied: n.applied.index, AsyncStorageWrites: true,
		MaxSizePerMsg: raftMaxSizePerMsg, MaxCommittedSizePerReady: raftMaxApplyBytes,
		MaxUncommittedEntriesSize: raftMaxUncommittedBytes,
		MaxInflightMsgs:           raftMaxInflightMsgs, MaxInflightBytes: raftMaxInflightBytes,
		CheckQuorum: true, PreVote: true, StepDownOnRemoval: true, DisableProposalForwarding: true,
		ReadOnlyOption: raft.ReadOnlySafe, Logger: raftLogger{cfg.Logger},
	})
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	n.term = hard.GetTerm()
	if n.quorumConnected() {
		n.armEager(0) // alone: nobody to wait for
	}
	return n, nil
}

// OriginError says that the replicated state knows a later start of this server than Config.Origin: the clock went back between
// two starts. Start again with a higher one.
type OriginError struct{ Known uint64 }

// Error names the later start.
func (e *OriginError) Error() string {
	return fmt.Sprintf("node: a later start of server %d is on record (origin %x); start with a higher origin", ServerOf(e.Known), e.Known)
}

func bootstrapState(conf *pb.ConfState) *State {
	s := &State{}
	for _, id := range conf.GetVoters() {
		s.setMember(peer.Member{RaftID: id, ServerID: ServerOf(id)})
	}
	for _, id := range conf.GetLearners() {
		s.setMember(peer.Member{RaftID: id, ServerID: ServerOf(id), Learner: true})
	}
	return s
}

// Now sets the time that the next proposals are stamped with, in milliseconds since the Unix epoch.
func (n *Node) Now(ms int64) { n.nowMs = ms }

// Tick is one step of logical time.
func (n *Node) Tick() {
	n.ticks++
	n.raw.Tick()
	n.tickOrigin()
	n.tickBarrier()
	n.forgetSilentLeader()
	n.tryEager()
	if n.ticks%uint64(n.cfg.HeartbeatTicks) == 0 && n.lead == n.cfg.RaftID {
		n.noteActive()
		n.promoteLearners()
		n.forgetGuests()
	}
	if n.ticks%digestTicks == 0 {
		n.proposeCheck()
	}
	if n.ticker != nil {
		n.ticker.Tick(n.nowMs)
	}
}

// Deliver takes a message from another member; it is the node's from then on.
func (n *Node) Deliver(m *peer.Message) {
	if m.To != n.cfg.RaftID && m.Kind != peer.KindJoin {
		return // to an earlier incarnation of this server
	}
	switch m.Kind {
	case peer.KindRaft:
		n.receiveRaft(m)
	case peer.KindOrigin:
		n.receiveOrigin(m)
	case peer.KindApp:
		if n.handler != nil {
			n.handler.Message(m.From, m.App)
		}
	case peer.KindJoin:
		n.receiveJoin(m)
	case peer.KindJoinReply:
		n.joinAnswered(&m.Join)
	}
}

// receiveRaft steps a message of another member's raft. Raft takes its peers' word for much and panics on what makes no sense, so
// only what members send each other comes through: no proposal, no status of a local thread, and no snapshot but by SnapshotReceived, which has its file.
func (n *Node) receiveRaft(m *peer.Message) {
	r := m.Raft
	forwarded := r.GetType() == pb.MsgReadIndex // by a member that led until a moment ago: it keeps the name of the one who asked
	if r.GetFrom() != m.From && !forwarded || r.GetTo() != m.To || m.From == n.cfg.RaftID {
		n.refuse(m, "its ids contradict each other")
		return
	}
	switch r.GetType() {
	case pb.MsgApp:
		for i, e := range r.GetEntries() {
			if e.GetIndex() != r.GetIndex()+1+uint64(i) {
				n.refuse(m, "its entries do not follow from each other")
				return
			}
		}
	case pb.MsgReadIndex:
		if len(r.GetEntries()) != 1 {
			n.refuse(m, "it asks for nothing")
			return
		}
		if n.lead == n.cfg.RaftID && !n.intake.ready && n.onlyVoter() {
			return // as in askBarrier; the asker tries again. Otherwise raft itself waits
		}
	case pb.MsgPreVote:
		n.asked = asked{r.GetFrom(), r.GetIndex()}
		n.countercampaign(r)
	case pb.MsgVote:
		n.asked = asked{r.GetFrom(), r.GetIndex()}
		n.yield(r)
	case pb.MsgVoteResp, pb.MsgPreVoteResp:
		n.learnCommitted(r)
	case pb.MsgAppResp, pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgTimeoutNow, pb.MsgReadIndexResp:
	default:
		n.refuse(m, "members do not send it")
		return
	}
	if r.GetFrom() == n.lead {
		n.heardLeader = n.ticks
	}
	n.step(r)
}

func (n *Node) refuse(m *peer.Message, why string) {
	n.log.Error("a message between members is refused", "type", m.Raft.GetType().String(), "from", peer.FormatRaftID(m.From), "error", why)
}

func (n *Node) step(m *pb.Message) {
	err := n.raw.Step(m)
	if err != nil && !errors.Is(err, raft.ErrStepPeerNotFound) && !errors.Is(err, raft.ErrProposalDropped) {
		n.log.Warn("a message between members is refused", "type", m.GetType().String(), "from", m.GetFrom(), "error", err)
	}
}

// ToLeader sends a datagram to the leader's MessageHandler, which may be here. It may be lost.
func (n *Node) ToLeader(data []byte) {
	switch {
	case n.lead == 0:
	case n.lead == n.cfg.RaftID:
		if n.handler != nil {
			n.handler.Message(n.cfg.RaftID, data)
		}
	default:
		n.host.Send(&peer.Message{Kind: peer.KindApp, From: n.cfg.RaftID, To: n.lead, App: data})
	}
}

// ToMember sends a datagram to another member's MessageHandler. It may be lost.
func (n *Node) ToMember(to uint64, data []byte) {
	n.host.Send(&peer.Message{Kind: peer.KindApp, From: n.cfg.RaftID, To: to, App: data})
}

// TellMembers says who the members are, which otherwise happens when they change.
func (n *Node) TellMembers() {
	n.host.MembersChanged(n.state.members)
	if n.watcher != nil {
		n.watcher.MembersChanged(n.state.members, len(n.confState.GetVotersOutgoing()) > 0)
	}
}

// Flush drains raft: it emits every effect that the events since the last Flush have.
func (n *Node) Flush() {
	n.pump()
	for n.raw.HasReady() {
		rd := n.raw.Ready()
		if rd.SoftState != nil || !raft.IsEmptyHardState(rd.HardState) || n.lead == 0 {
			// SoftState is nil too when a leader was forgotten and heard of again since the last Ready.
			n.leaderMayHaveChanged()
		}
		if len(rd.ReadStates) > 0 {
			n.confirmBarriers(rd.ReadStates)
		}
		for _, m := range rd.Messages {
			n.dispatch(m)
		}
		n.pump()
	}
	n.maybeSnapshot()
}

// pump moves what waits: this server's commands to the leader, the leader's batches into raft, barriers into ReadIndex.
func (n *Node) pump() {
	n.sendOrigin()
	n.propose()
	n.askBarrier()
}

func (n *Node) dispatch(m *pb.Message) {
	switch {
	case m.GetTo() == raft.LocalAppendThread:
		n.storageAppend(m)
	case m.GetTo() == raft.LocalApplyThread:
		n.apply(m.GetEntries())
		for _, r := range m.GetResponses() {
			n.step(r)
		}
	case m.GetTo() == n.cfg.RaftID:
		n.step(m)
	case m.GetType() == pb.MsgSnap:
		n.sendSnapshot(m)
	case m.GetType() == pb.MsgVote && !planted.CampaignBeforeVote.On():
		n.candidacy = append(n.candidacy, m)
	default:
		n.send(m)
	}
}

func (n *Node) send(m *pb.Message) {
	n.addCommitted(m)
	n.outRaft = peer.Message{Kind: peer.KindRaft, From: n.cfg.RaftID, To: m.GetTo(), Raft: m}
	if !n.host.Send(&n.outRaft) && n.lead == n.cfg.RaftID {
		n.raw.ReportUnreachable(m.GetTo())
	}
}

// storageAppend passes on what has to become durable. A commit index alone does not have to: it goes along with the next record.
//
// A candidate asks for votes only once its own is durable, as the Raft paper has it (figure 2); raft's asynchronous mode would ask at once.
// It could then be elected by the others alone, lead, lose power, and be elected in the same term again, to number other entries alike.
func (n *Node) storageAppend(m *pb.Message) {
	job := appendJob{responses: append(m.GetResponses(), n.candidacy...), done: true}
	n.candidacy = nil
	hard := n.hard
	if m.Term != nil {
		hard = &pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
	}
	if len(m.GetEntries()) > 0 || m.GetSnapshot() != nil || hard.GetTerm() != n.hard.GetTerm() || hard.GetVote() != n.hard.GetVote() {
		job.done = false
		job.record = &raftlog.Record{Entries: m.GetEntries(), HardState: hard}
		if m.GetSnapshot() != nil {
			job.record.Snapshot = m.GetSnapshot().GetMetadata()
		}
		if planted.VoteNotPersisted.On() {
			job.record.HardState = &pb.HardState{Term: hard.Term, Vote: new(uint64(0)), Commit: hard.Commit}
		}
		if planted.AckBeforeSync.On() {
			n.plantAcks(&job)
		}
		n.host.Append(job.record)
	}
	n.hard = hard
	n.appending = append(n.appending, job)
	n.finishAppends()
}

// plantAcks is the planted bug: what the others may hear once the record is durable, they hear now.
func (n *Node) plantAcks(job *appendJob) {
	var own []*pb.Message
	for _, m := range job.responses {
		if m.GetTo() == n.cfg.RaftID || m.GetType() != pb.MsgAppResp {
			own = append(own, m)
		} else {
			n.send(m)
		}
	}
	job.responses = own
}

// Persisted says that a record is durable, in the order in which they were handed to Append.
func (n *Node) Persisted(r *raftlog.Record) {
	for i := range n.appending {
		job := &n.appending[i]
		if job.done {
			continue
		}
		if job.record != r {
			panic(invariant("a record was reported durable out of order"))
		}
		job.done = true
		n.storage.Stable(r)
		if r.Snapshot != nil {
			n.storage.SetSnapshot(r.Snapshot)
			n.snap.index, n.snap.bytes = r.Snapshot.GetIndex(), 0 // what is being written is older (SnapshotTaken)
			n.restoring = true
			n.host.Restore(r.Snapshot.GetIndex())
		}
		break
	}
	n.finishAppends()
}

// finishAppends delivers, in order, the responses of all that is durable. While a snapshot is being loaded they wait: to raft it is
// appended only when it is applied.
func (n *Node) finishAppends() {
	for len(n.appending) > 0 && n.appending[0].done && !n.restoring {
		responses := n.appending[0].responses
		n.appending[0] = appendJob{}
		if n.appending = n.appending[1:]; len(n.appending) == 0 {
			n.appending = nil
		}
		for _, m := range responses {
			if m.GetTo() == n.cfg.RaftID {
				n.step(m)
			} else {
				n.send(m)
			}
		}
	}
}
