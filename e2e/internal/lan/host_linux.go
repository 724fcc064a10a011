package lan

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Host is a host of a LAN.
type Host struct {
	// Constant after it has joined.

	addr netip.Addr
	lan  *LAN
	ns   *os.File // its network namespace; nil for the test's own
	tun  *os.File
}

// Addr is the host's address.
func (h *Host) Addr() netip.Addr { return h.addr }

// Address is the same as text.
func (h *Host) Address() string { return h.addr.String() }

// Enter runs f on a thread that is in the host's namespace: the sockets it makes and the processes it starts are the host's.
func (h *Host) Enter(f func() error) error {
	if h.ns == nil {
		return f()
	}
	return onThread(h.lan.home, func() error {
		if err := unix.Setns(int(h.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("lan: enter the namespace of %v: %w", h.addr, err)
		}
		return f()
	})
}

// Dial connects from the host to an address that is not a name.
func (h *Host) Dial(network, addr string, limit time.Duration) (c net.Conn, err error) {
	err = h.Enter(func() error {
		c, err = net.DialTimeout(network, addr, limit)
		return err
	})
	return c, err
}

// onThread runs f on a thread that returns to the home namespace afterwards. A goroutine is not moved from its thread before.
func onThread(home *os.File, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(fmt.Sprintf("lan: a thread is lost in another namespace: %v", back))
	}
	return err
}

func threadNamespace() (*os.File, error) { return os.Open("/proc/thread-self/ns/net") }

// create makes the namespace; the calling thread is in it then.
func (h *Host) create() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	var err error
	if h.ns, err = threadNamespace(); err != nil {
		return err
	}
	return up("lo", netip.Addr{})
}

// openTun makes the device of the calling thread's namespace.
func (h *Host) openTun() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq("tun0")
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("make tun0: %w", err)
	}
	h.tun = os.NewFile(uintptr(fd), "tun0 of "+h.addr.String())
	return up("tun0", h.addr)
}

// up switches a device on, with an address if it is given one.
func up(name string, addr netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	set := func(what uint, fill func(*unix.Ifreq) error) error {
		r, err := unix.NewIfreq(name)
		if err == nil {
			err = fill(r)
		}
		if err == nil {
			err = unix.IoctlIfreq(fd, what, r)
		}
		if err != nil {
			return fmt.Errorf("set up %s (%#x): %w", name, what, err)
		}
		return nil
	}
	if addr.IsValid() {
		ip := addr.As4()
		if err := set(unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(ip[:]) }); err != nil {
			return err
		}
		if err := set(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) }); err != nil {
			return err
		}
	}
	return set(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		return nil
	})
}

// take gives the host a packet; one that it does not take is lost.
func (h *Host) take(packet []byte) { _, _ = h.tun.Write(packet) }
