package sim

import (
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"math"
	mrand "math/rand/v2"

	"gopherwood/internal/node"
	"gopherwood/internal/planted"
	"gopherwood/internal/raftlog"
	"gopherwood/internal/vfs"
)

// server is one machine: its disk and its clock stay when its processes come and go.
type server struct {
	sim          *simulation
	id           uint16
	disk         *disk
	raftID       uint64
	incarnations uint64
	starts       uint64
	mirror       *mirror
	founder      bool   // of the first members: its log begins with the founding record
	founderID    uint64 // its raft id then

	offsetMs int64 // of its clock
	driftPpm int64
	proc     *process // nil while it is down
	observer bool     // it is to stay a learner
	starting bool
	rotten   bool    // its disk is damaged, or has lied, and no process has begun with that yet
	batches  uint64  // durable ones that its log had when its last process ended; 0 if it was stopped in good order
	links    []*link // to the server with id i+1 at i; nil to itself

	diskRand, timeRand, netRand random
	jitter                      *mrand.ChaCha8 // of raft's elections
}

func newServer(s *simulation, id uint16) *server {
	v := &server{sim: s, id: id, observer: int(id) > s.p.servers-s.p.observers}
	v.founder = !v.observer
	seed := s.script.seed
	v.diskRand, v.timeRand, v.netRand = newRandom(seed, streamDisk, uint64(id)), newRandom(seed, streamTime, uint64(id)), newRandom(seed, streamNet, uint64(id))
	var key [32]byte
	for i, r := 0, newRandom(seed, streamJitter, uint64(id)); i < len(key); i += 8 {
		binary.LittleEndian.PutUint64(key[i:], r.Uint64())
	}
	v.jitter = mrand.NewChaCha8(key)
	v.incarnate()
	v.founderID = v.raftID
	v.offsetMs, v.driftPpm = v.timeRand.between(-500, 500), v.timeRand.between(-200, 200)
	v.newDisk()
	return v
}

// incarnate draws an incarnation, at random as replica does, and so a raft id.
func (v *server) incarnate() {
	v.incarnations++
	for v.raftID == 0 || v.sim.ghost.mirrors[v.raftID] != nil {
		v.raftID = node.MakeID(v.id, v.timeRand.Uint64N(0xfff)+1)
	}
}

func (v *server) newDisk() {
	v.disk = newDisk(v)
	v.mirror = &mirror{}
	v.sim.ghost.mirrors[v.raftID] = v.mirror
}

// clockMs is the server's wall clock.
func (v *server) clockMs() int64 {
	return startMs + v.offsetMs + (v.sim.now+v.sim.now/1000*v.driftPpm/1000)/1000
}

const dataDir = "data"

// errDoubt says that the last write before a crash cannot be read: it could be torn, and the simulator knows that it was damaged after
// it was durable. That no log can tell; a watermark limits it to the last tenth of a second.
var errDoubt = errors.New("the last write is gone")

// start starts a process if there is none.
func (v *server) start() {
	if v.proc != nil {
		return
	}
	s := v.sim
	v.starts++
	s.processes++
	p := &process{sim: s, srv: v, raftID: v.raftID, origin: node.MakeID(v.id, v.starts), disk: v.disk, up: map[uint64]bool{}}
	p.audit = newAuditor(p)
	v.proc = p
	v.disk.troubled = false
	s.log(v.id, lineStarts, v.raftID, p.origin, 0)
	crand.Reader = v.jitter
	err := p.open()
	switch {
	case v.disk.off():
		v.powerWasCut()
	case p.dead: // in its first steps
	case err == nil:
		v.rotten = v.rotten && v.disk.lie != writeTrue // what it found is what it goes on with
		if sv := p.audit.service(); sv != nil {
			sv.srv.Attach(sv)
		}
		s.troubleAt = s.now
		s.serverStarted(v)
	default:
		v.cannotStart(err)
	}
}

// cannotStart ends a process whose disk does not let it begin. Damage costs the server its disk; errors and want of
// space pass.
func (v *server) cannotStart(err error) {
	s := v.sim
	var corrupt *raftlog.CorruptError
	switch {
	case v.rotten && (errors.As(err, &corrupt) || errors.Is(err, errDoubt)):
		s.log(v.id, lineDamaged, 0, 0, 0)
		s.stats.Condemned++
		v.wipe()
	case v.disk.troubled && errors.Is(err, errDisk), errors.Is(err, raftlog.ErrNoSpace) && v.disk.full:
		s.stats.StartFailures++
		v.end(false)
	default:
		s.fail("server %d cannot start: %v", v.id, err)
	}
	v.restartIn(max(v.downtime(), 20*millisecond))
}

// kill ends the process; what it wrote is there, synced or not.
func (v *server) kill() { v.end(false) }

// losePower ends the process, if there is one, and what was not durable is there or not, sector by sector.
func (v *server) losePower() {
	v.end(true)
	r := v.diskRand
	var choose vfs.Chooser = r
	switch r.IntN(4) {
	case 0:
		choose = always(0)
	case 1:
		choose = always(math.MaxInt)
	}
	v.disk.losePower(choose)
}

// powerWasCut is called when an operation has failed for want of power.
func (v *server) powerWasCut() {
	v.sim.stats.Torn++
	v.losePower()
	v.restartIn(v.downtime())
}

// always chooses the n-th outcome or, if there are fewer, the last.
type always int

func (a always) IntN(n int) int { return min(int(a), n-1) }

func (v *server) end(silent bool) {
	p := v.proc
	if p == nil {
		return
	}
	p.dead, v.proc = true, nil
	if p.log != nil {
		v.batches = p.log.Recovered().Batches + p.durable
	}
	if silent {
		v.sim.log(v.id, lineNoPower, 0, 0, 0)
	} else {
		v.sim.log(v.id, lineDies, 0, 0, 0)
	}
	if sv := p.audit.service(); sv != nil {
		sv.ended(silent)
	}
	v.sim.serverEnded(v, silent)
}

// restartIn starts the server after a while, unless somebody did before.
func (v *server) restartIn(us int64) {
	if v.starting {
		return
	}
	v.starting = true
	v.sim.after(us, func() {
		v.starting = false
		v.start()
	})
}

// wipe takes the disk away: the server comes back under a new raft id and has to join.
func (v *server) wipe() {
	v.end(true)
	v.founder = false
	if !planted.IDReusedAfterWipe.On() {
		v.incarnate()
	}
	v.newDisk()
}
