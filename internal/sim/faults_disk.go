package sim

import (
	"strings"

	"gopherwood/internal/node"
	"gopherwood/internal/vfs"
)

func (s *simulation) faultStallDisk(v *server) bool {
	if v.proc == nil {
		return false
	}
	v.proc.stalled = s.now + s.faults.between(10, 1<<s.faults.IntN(13))*millisecond
	s.log(v.id, "has a disk that hangs for %d ms", uint64((v.proc.stalled-s.now)/millisecond), 0, 0)
	return true
}

// syncDelay is how long a sync takes.
func (v *server) syncDelay() int64 {
	d := v.diskRand.about(v.sim.p.syncUs)
	if !v.sim.calm && v.diskRand.chance(v.sim.p.stall) {
		d += v.diskRand.between(10, 500) * millisecond
	}
	return d
}

// faultFullDisk leaves a few kilobytes of space, or nothing, for a while.
func (s *simulation) faultFullDisk(v *server) bool {
	if v.disk.full {
		return false
	}
	d := v.disk
	d.fill(s.faults.between(0, 1<<s.faults.IntN(18)))
	ms := s.faults.between(50, 1<<s.faults.IntN(13))
	s.log(v.id, "has a full disk for %d ms", uint64(ms), 0, 0)
	s.after(ms*millisecond, func() { s.makeSpace(v, d) })
	return true
}

func (s *simulation) makeSpace(v *server, d *disk) {
	if d.full {
		d.makeSpace()
		s.log(v.id, "has space on its disk again", 0, 0, 0)
	}
}

// faultReadErrors makes half of the reads fail for a while, of a running process or of one that begins. It may have to give up; the bytes are there.
func (s *simulation) faultReadErrors(v *server) bool {
	if s.faults.chance(0.5) {
		v.end(false)
		v.restartIn(s.faults.about(50 * millisecond))
	}
	ms := s.faults.between(10, 1<<s.faults.IntN(11))
	v.disk.readErrorsUntil = s.now + ms*millisecond
	s.log(v.id, "has a disk that cannot read for %d ms", uint64(ms), 0, 0)
	return true
}

// faultSyncError makes the next sync of the log, or durable write to it, fail. What was to become durable is not, although it can still be read.
func (s *simulation) faultSyncError(v *server) bool {
	if v.proc == nil || v.proc.log == nil || v.disk.syncError {
		return false
	}
	v.disk.syncError = true
	s.log(v.id, "has a disk whose next sync fails", 0, 0, 0)
	return true
}

// faultWipe takes a disk away, if the ensemble can bear it.
func (s *simulation) faultWipe(v *server) bool {
	if !s.canLose(v) {
		return false
	}
	s.log(v.id, "loses its disk", 0, 0, 0)
	v.wipe()
	v.restartIn(v.downtime())
	return true
}

// faultDisaster takes the disks of most servers away at the same moment.
func (s *simulation) faultDisaster(*server) bool {
	any := false
	for _, v := range s.servers {
		if s.faults.chance(0.7) {
			any = s.faultWipe(v) || any
		}
	}
	return any
}

// canLose says whether the ensemble can do without a server's disk. At most a minority of the voters may be without theirs, and a
// voter counts until a new incarnation of its server has taken its place, to the knowledge of every disk that is left: a
// member acts on the configuration that it has applied, and after a restart it has applied what its disk says is committed.
func (s *simulation) canLose(v *server) bool {
	if len(s.ghost.configs) == 0 || v.incarnations >= maxIncarnations {
		return false
	}
	if s.script.mode == Beyond {
		return true
	}
	now := s.ghost.configs[len(s.ghost.configs)-1]
	if len(now.conf.GetVotersOutgoing()) > 0 {
		return false
	}
	lost, votes := 0, false
	for _, id := range now.conf.GetVoters() {
		w := s.servers[node.ServerOf(id)-1]
		votes = votes || w == v
		switch {
		case w == v && w.raftID != id:
			return true // its voter's disk is gone already
		case w == v || w.raftID != id || w.rotten:
			lost++
		}
	}
	for _, w := range s.servers {
		if w != v && max(w.mirror.durable.commit, w.mirror.durable.base) < now.index {
			return false
		}
	}
	return !votes || lost <= (len(now.conf.GetVoters())-1)/2
}

// faultRot damages a few bytes on the disk of a server that is down. If the log notices when it is opened, the disk is as good as lost.
// It must notice if it had to: see mirror.recovered. The last write before a crash is open to doubt until the watermark has caught
// up with it (errDoubt); after an orderly stop there is no doubt.
func (s *simulation) faultRot(v *server) bool {
	if v.proc == nil || v.proc.paused || v.proc.writing || v.disk.armed || v.disk.full || v.disk.failing() || !s.canLose(v) {
		return false
	}
	if p := v.proc; s.faults.chance(0.5) {
		p.stop()
		v.batches = 0
	} else {
		v.kill()
	}
	s.damage(v)
	v.restartIn(v.downtime())
	return true
}

// faultRotLive damages the disk under a process that runs. What it has in memory is right, and what it has to read again is not.
func (s *simulation) faultRotLive(v *server) bool {
	if v.proc == nil || v.proc.log == nil || v.disk.armed || !s.canLose(v) {
		return false
	}
	s.damage(v)
	return true
}

// damage changes some bytes of one of the server's files.
func (s *simulation) damage(v *server) {
	v.rotten = true
	names, err := v.disk.List(dataDir)
	if err != nil || len(names) == 0 {
		s.fail("server %d: list the disk: %d files, %v", v.id, len(names), err)
	}
	name := dataDir + "/" + names[s.faults.IntN(len(names))]
	size, err := v.disk.Stat(name)
	if err != nil {
		s.fail("server %d: size of %s: %v", v.id, name, err)
	}
	if size == 0 {
		return
	}
	s.stats.Rots++
	off := s.faults.Int64N(size)
	if s.faults.chance(0.8) { // where something is: batches begin at blocks, and the rest of a log file is mostly zero
		off = min(off, s.faults.Int64N(64<<10)) / vfs.BlockSize * vfs.BlockSize
		off += s.faults.Int64N(min(256, size-off))
	}
	switch s.faults.IntN(3) {
	case 0:
		err = v.disk.mem.FlipBit(name, off, uint(s.faults.IntN(8)))
	case 1:
		err = v.disk.mem.Zero(name, off, int(min(512, size-off)))
	case 2:
		err = v.disk.mem.Scribble(name, off, []byte{byte(s.faults.IntN(256))})
	}
	if err != nil {
		s.fail("server %d: damage %s: %v", v.id, name, err)
	}
	s.trace.add(traceLine{at: s.now, server: v.id, format: "has a damaged disk: offset %d of %s", a: uint64(off), note: name})
}

// faultLostWrite lets the disk say that it has written the next batch of the log, and not write it.
func (s *simulation) faultLostWrite(v *server) bool { return s.lie(v, writeLost) }

// faultMisdirected lets the disk write the next batch of the log to another place, over what is there.
func (s *simulation) faultMisdirected(v *server) bool { return s.lie(v, writeMisdirected) }

func (s *simulation) lie(v *server, how diskLie) bool {
	if v.proc == nil || v.proc.log == nil || v.disk.armed || v.disk.lie != writeTrue || !s.canLose(v) {
		return false
	}
	v.rotten = true
	v.disk.lie = how
	s.log(v.id, "has a disk that will lie about a write", 0, 0, 0)
	return true
}

// isLog says whether a file is a segment of the log in use.
func isLog(name string) bool { return strings.HasSuffix(name, ".log") }
