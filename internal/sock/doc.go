// Package sock reads and writes sockets in Go's non-blocking mode without announcing a system call that may block.
//
// Package syscall announces every call to the scheduler, because any call may block. If the runtime's monitor thread is asleep, that wakes it, and it then
// looks every 20 µs for threads that are stuck (runtime/proc.go, entersyscall and sysmon). A server that answers small requests makes thousands of such calls a
// second, so its monitor never sleeps: in a server at 10,000 sets a second the monitor alone was a quarter of the processor time. A
// socket in non-blocking mode never gets stuck, so there is nothing to look for.
//
// In exchange the scheduler can't take the processor away during a call. A call is therefore never longer than copying maxCall bytes.
//
// Elsewhere than on Linux the calls are package syscall's.
package sock
