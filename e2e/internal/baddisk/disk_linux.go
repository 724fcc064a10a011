package baddisk

import (
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Trouble is how a disk fails. The zero value is a good disk.
type Trouble struct {
	FailReads  bool          // every read fails with EIO
	Spared     string        // save those of files of this name
	FailWrites bool          // and so does every write
	FailSyncs  bool          // and every sync, and every write that is to be durable
	Slow       time.Duration // of every sync and durable write
	Hang       bool          // nothing is answered until this is over
	Lie        bool          // syncs and durable writes are answered, and nothing is durable
}

// Stats counts since the disk was mounted.
type Stats struct {
	Writes, Syncs, Failed int64
	Lost, Kept            int64 // sectors, at losses of power
}

// Disk is one mounted folder. Safe for concurrent use.
type Disk struct {
	server *fuse.Server

	mu      sync.Mutex
	changed sync.Cond // trouble
	trouble Trouble
	files   map[string]*file // by path below, those with something to lose
	rand    *rand.Rand
	stats   Stats
}

// file is what is to lose of a file.
type file struct {
	size   int64                       // that is durable
	before map[int64][sectorBytes]byte // by sector, what is durable
}

// Mount shows the folder below at the folder above. What survives losses of power is drawn from the seed.
func Mount(below, above string, seed uint64) (*Disk, error) {
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return nil, fmt.Errorf("baddisk: %w", err)
	}
	d := &Disk{files: make(map[string]*file), rand: rand.New(rand.NewPCG(seed, 1))}
	d.changed.L = &d.mu
	root, err := fs.NewLoopbackRoot(below)
	if err != nil {
		return nil, fmt.Errorf("baddisk: %w", err)
	}
	never := time.Duration(0) // nothing is remembered by the kernel
	d.server, err = fs.Mount(above, &node{root.(*fs.LoopbackNode), d}, &fs.Options{
		EntryTimeout: &never, AttrTimeout: &never, NegativeTimeout: &never,
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: below, Name: "baddisk", MaxWrite: maxWriteBytes, Logger: log.New(io.Discard, "", 0)},
	})
	if err != nil {
		return nil, fmt.Errorf("baddisk: mount %s: %w", above, err)
	}
	return d, nil
}

// Close ends all trouble and unmounts. Nobody has a file open any more.
func (d *Disk) Close() error {
	d.Set(Trouble{})
	return d.server.Unmount()
}

// Set changes how the disk fails.
func (d *Disk) Set(t Trouble) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble = t
	d.changed.Broadcast()
}

// Stats returns what has happened.
func (d *Disk) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// Settle takes all that was written for durable.
func (d *Disk) Settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.files)
}

// Cut takes away what was not synced, but for each sector a chance to survive. The processes that used the disk have ended.
func (d *Disk) Cut(survival float64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for path, f := range d.files {
		errs = append(errs, d.cut(path, f, survival))
	}
	clear(d.files)
	return errors.Join(errs...)
}

func (d *Disk) cut(path string, f *file, survival float64) error {
	below, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer below.Close()
	st, err := below.Stat()
	if err != nil {
		return err
	}
	for sector, was := range f.before {
		if d.rand.Float64() < survival {
			d.stats.Kept++
			continue
		}
		d.stats.Lost++
		if n := min(st.Size()-sector*sectorBytes, sectorBytes); n > 0 {
			if _, err := below.WriteAt(was[:n], sector*sectorBytes); err != nil {
				return err
			}
		}
	}
	if st.Size() > f.size && d.rand.Float64() >= survival {
		return below.Truncate(f.size)
	}
	return nil
}

// lies says whether the disk only says that something is durable.
func (d *Disk) lies() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.trouble.Lie
}

// ready waits while the disk hangs, and says whether the operation fails.
func (d *Disk) ready(fails func(Trouble) bool, durable bool) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.trouble.Hang {
		d.changed.Wait()
	}
	if durable && d.trouble.Slow > 0 {
		slow := d.trouble.Slow
		d.mu.Unlock()
		time.Sleep(slow)
		d.mu.Lock()
	}
	if fails(d.trouble) {
		d.stats.Failed++
		return syscall.EIO
	}
	return 0
}

// writes notes what a write to a file is about to replace.
func (d *Disk) writes(f *os.File, off int64, n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Writes++
	k, err := d.fileLocked(f)
	if err != nil {
		return err
	}
	for sector := off / sectorBytes; sector*sectorBytes < off+int64(n); sector++ {
		if _, noted := k.before[sector]; noted {
			continue
		}
		var was [sectorBytes]byte // zeros beyond the end
		if _, err := syscall.Pread(int(f.Fd()), was[:], sector*sectorBytes); err != nil {
			return err
		}
		k.before[sector] = was
	}
	return nil
}

// fileLocked is what is to lose of a file, from now on.
func (d *Disk) fileLocked(f *os.File) (*file, error) {
	k := d.files[f.Name()]
	if k == nil {
		st, err := f.Stat()
		if err != nil {
			return nil, err
		}
		k = &file{size: st.Size(), before: make(map[int64][sectorBytes]byte)}
		d.files[f.Name()] = k
	}
	return k, nil
}

// wroteThrough notes a write that was durable when it returned.
func (d *Disk) wroteThrough(path string, off int64, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Writes++
	d.stats.Syncs++
	if k := d.files[path]; k != nil {
		for sector := (off + sectorBytes - 1) / sectorBytes; (sector+1)*sectorBytes <= off+int64(n); sector++ {
			delete(k.before, sector)
		}
		k.size = max(k.size, off+int64(n))
	}
}

// truncated forgets what a shorter file no longer has.
func (d *Disk) truncated(path string, size int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.files[path]; k != nil {
		k.size = min(k.size, size)
		for sector := range k.before {
			if sector*sectorBytes >= size {
				delete(k.before, sector)
			}
		}
	}
}

// synced forgets what could have been lost of a file.
func (d *Disk) synced(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Syncs++
	delete(d.files, path)
}

// renamed follows a file to its new name; what had that name is gone.
func (d *Disk) renamed(from, to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, to)
	if k := d.files[from]; k != nil {
		d.files[to] = k
		delete(d.files, from)
	}
}

// removed forgets a file.
func (d *Disk) removed(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, path)
}
