package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"gopherwood/e2e/internal/baddisk"
	"gopherwood/e2e/internal/ensemble"
)

// diskEffect is what begins and what ends a fault of disks.
func (d *director) diskEffect(k Kind) (begin, end func(*victim) error) {
	trouble := func(t func(v *victim) baddisk.Trouble) func(*victim) error {
		return func(v *victim) error { d.disks[v.server].Set(t(v)); return nil }
	}
	over := trouble(func(*victim) baddisk.Trouble { return baddisk.Trouble{} })
	switch k {
	case FullDisk:
		return func(v *victim) error { return d.fill(v.server) }, func(v *victim) error { return d.empty(v.server) }
	case FullDisks:
		return func(*victim) error { return d.fill(d.e.Servers...) }, func(*victim) error { return d.empty(d.e.Servers...) }
	case Power:
		return func(v *victim) error { return d.cutPower(v.Level, v.server) }, func(v *victim) error { return d.start(v.server) }
	case PowerAll:
		return func(v *victim) error { return d.cutPower(v.Level, d.e.Servers...) }, func(*victim) error { return d.start(d.e.Servers...) }
	case SlowDisk:
		return trouble(func(v *victim) baddisk.Trouble {
			return baddisk.Trouble{Slow: time.Duration(1+v.Level*200) * time.Millisecond}
		}), over
	case HangDisk:
		return trouble(func(*victim) baddisk.Trouble { return baddisk.Trouble{Hang: true} }), over
	case BadSync:
		return d.failSyncs, d.syncsFailed
	case BadRead:
		return d.failReads, func(v *victim) error {
			d.excused[v.server] = time.Now().Add(excuseGrace)
			return errors.Join(over(v), d.start(v.server))
		}
	}
	return nil, nil
}

// cutPower takes the power of servers away: they end, and of what they had not synced each sector has a chance to survive.
func (d *director) cutPower(survival float64, servers ...*ensemble.Server) error {
	d.kill(servers...)
	var errs []error
	for _, s := range servers {
		errs = append(errs, d.disks[s].Cut(survival))
	}
	return errors.Join(errs...)
}

// failSyncs lets every sync of a server's disk fail. It must end then: what is durable is not known any more.
func (d *director) failSyncs(v *victim) error {
	disk := d.disks[v.server]
	v.failed = disk.Stats().Failed
	if v.server.Running() {
		v.ended = v.server.Ended()
	}
	d.excused[v.server] = time.Now().Add(time.Hour)
	disk.Set(baddisk.Trouble{FailSyncs: true})
	return nil
}

// syncsFailed ends that, and sees to it that a server whose sync has failed has ended.
func (d *director) syncsFailed(v *victim) error {
	disk := d.disks[v.server]
	if v.ended != nil && disk.Stats().Failed > v.failed && !d.stopped[v.server] {
		select {
		case <-v.ended:
		case <-time.After(giveUpLimit):
			d.ended = append(d.ended, fmt.Sprintf("a sync of server %d failed, and it goes on", v.server.ID))
		}
	}
	disk.Set(baddisk.Trouble{})
	d.excused[v.server] = time.Now().Add(excuseGrace)
	d.look()
	return d.start(v.server)
}

// failReads starts a server whose disk can't be read.
func (d *director) failReads(v *victim) error {
	d.kill(v.server)
	d.excused[v.server] = time.Now().Add(time.Hour)
	d.disks[v.server].Set(baddisk.Trouble{FailReads: true, Spared: "myid"})
	return d.start(v.server)
}

// below is the folder that a server's data is really in.
func below(s *ensemble.Server) string { return filepath.Join(s.Dir, "below") }

// ballast is the file that fills a server's file system.
func ballast(s *ensemble.Server) string { return filepath.Join(below(s), "ballast") }

// fill leaves no room in the servers' file systems, and makes their logs want some. A server that starts on a full disk may give up.
func (d *director) fill(servers ...*ensemble.Server) error {
	for _, s := range servers {
		d.excused[s] = time.Now().Add(time.Hour)
		f, err := os.Create(ballast(s))
		if err != nil {
			if errors.Is(err, unix.ENOSPC) {
				continue
			}
			return err
		}
		at := int64(0)
		for size := int64(diskBytes); size >= 4<<10; {
			if err := unix.Fallocate(int(f.Fd()), 0, at, size); err != nil {
				size /= 2
			} else {
				at += size
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	d.bulk()
	return nil
}

// empty makes room again, and starts the servers that gave up for want of it.
func (d *director) empty(servers ...*ensemble.Server) error {
	for _, s := range servers {
		err := os.Remove(ballast(s))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		d.excused[s] = time.Now().Add(excuseGrace)
		if err := d.start(s); err != nil {
			return err
		}
	}
	return nil
}

// wipe is a new disk, with the file that says which server this is.
func (d *director) wipe(s *ensemble.Server) error {
	if disk := d.disks[s]; disk != nil {
		disk.Settle()
	}
	entries, err := os.ReadDir(below(s))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "myid" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(below(s), e.Name())); err != nil {
			return err
		}
	}
	return nil
}
