package lan

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// inside is the environment variable that tells a process that it is in the sandbox.
const inside = "GOPHERWOOD_SANDBOX"

// ErrNoSandbox is why a sandbox can't be had here.
var ErrNoSandbox = errors.New("needs root, Linux's namespaces and /dev/net/tun")

// Sandbox runs this program again, with the same arguments, in namespaces of its own for processes, mounts and the network, and returns its
// exit code. In there it returns inside. When that program ends, however it does, the kernel ends its processes and removes its mounts and
// devices. It is for a TestMain, before anything else.
func Sandbox() (code int, isInside bool, err error) {
	if os.Getenv(inside) != "" {
		return 0, true, furnish()
	}
	if os.Geteuid() != 0 {
		return 0, false, fmt.Errorf("%w: this is user %d", ErrNoSandbox, os.Geteuid())
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return 0, false, fmt.Errorf("%w: %w", ErrNoSandbox, err)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		return 0, false, fmt.Errorf("%w: %w", ErrNoSandbox, err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(1, exit.ExitCode()), false, nil
	}
	return 0, false, err
}

// furnish makes the sandbox fit to live in.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("lan: keep mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("lan: mount /proc: %w", err)
	}
	return up("lo", netip.Addr{})
}
