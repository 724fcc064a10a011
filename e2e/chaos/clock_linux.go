package chaos

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"gopherwood/e2e/internal/ensemble"
)

// startElsewhen starts a server so many seconds ahead of this process by the clocks that count from the machine's start, in a time namespace. The
// wall clock is one for the whole machine; no namespace changes it.
func (d *director) startElsewhen(s *ensemble.Server, ahead int64) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is fit for nothing else, and ends with this goroutine
		err := unix.Unshare(unix.CLONE_NEWTIME)
		if err == nil {
			offsets := fmt.Sprintf("monotonic %d 0\nboottime %d 0\n", ahead, ahead)
			err = os.WriteFile(fmt.Sprintf("/proc/%d/timens_offsets", unix.Gettid()), []byte(offsets), 0)
		}
		if err != nil {
			started <- fmt.Errorf("chaos: a time namespace: %w", err)
			return
		}
		started <- d.start(s)
	}()
	return <-started
}
