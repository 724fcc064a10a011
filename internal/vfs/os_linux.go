package vfs

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

func fdatasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// openDirect opens an existing file O_DIRECT|O_DSYNC. It says no where the filesystem does, be it at open (tmpfs), in what it
// reports, or at the first read (some overlays).
func openDirect(name string) (File, bool) {
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_DIRECT|unix.O_DSYNC, 0)
	if err != nil {
		return nil, false
	}
	var st unix.Statx_t
	err = unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &st)
	if err == nil && st.Mask&unix.STATX_DIOALIGN != 0 {
		if st.Dio_mem_align == 0 || BlockSize%st.Dio_mem_align != 0 || BlockSize%st.Dio_offset_align != 0 {
			f.Close()
			return nil, false
		}
	}
	if _, err := f.ReadAt(AlignedBuffer(BlockSize), 0); err != nil && !errors.Is(err, io.EOF) {
		f.Close()
		return nil, false
	}
	return asynchronous(f), true
}
