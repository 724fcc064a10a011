package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"gopherwood/zk"
)

const passwdSize = 16

// Client is one session with an ensemble. Make one with Connect; its methods may be called from any goroutine.
//
// Goroutines: run (connects, then reads), one writer while connected, one for Options.OnState, and one for each
// Watch.Do. All have ended when Close or Detach returns.
type Client struct {
	// constant after Connect
	servers []string
	chroot  string
	opts    Options
	life    context.Context // ends when nothing is to be sent any more
	endLife context.CancelFunc
	ended   chan struct{} // closed with the final state; endErr is set before
	ready   chan struct{} // closed when the first session was granted and Options.Auth proved
	wake    chan struct{} // the writer's bell, one slot
	gate    gate
	states  stateHub
	wg      sync.WaitGroup

	// owned by run
	rand     *rand.Rand
	failures []error // the last at each server
	lost     string  // the server that was lost last, tried last
	flaps    int     // connections in a row that were lost before anything was heard on them

	mu       sync.Mutex
	queue    callQueue // waiting to be sent, in order of submission
	sent     callQueue // waiting for their answers
	auths    callQueue // likewise; answered out of the others' order
	watches  watchSet
	auth     []Auth // proved on every connection
	xid      int32
	lastZxid int64
	session  Session
	timeout  time.Duration // as granted
	closing  bool          // no call is taken any more
	endErr   error         // why the client is over, once it is
}

// Connect opens a session with one of servers ("host:port,host:port/chroot", see ParseServers) and returns when it is granted and Options.Auth
// is proved. It fails when ctx ends, when Options.ConnectRounds are through (both *ConnectError), when Options.Session does not exist
// (zk.ErrSessionExpired), when an identity is refused (zk.ErrAuthFailed), and with what is wrong in its arguments. ctx does not
// matter to the client afterwards.
func Connect(ctx context.Context, servers string, o Options) (*Client, error) {
	list, chroot, err := ParseServers(servers)
	if err != nil {
		return nil, err
	}
	if err := o.validate(len(list)); err != nil {
		return nil, err
	}
	c := &Client{
		servers:  list,
		chroot:   chroot,
		opts:     o,
		ended:    make(chan struct{}),
		ready:    make(chan struct{}),
		wake:     make(chan struct{}, 1),
		gate:     gate{max: o.MaxPendingBytes},
		rand:     rand.New(o.Rand),
		failures: make([]error, len(list)),
		auth:     append([]Auth(nil), o.Auth...),
		session:  o.Session,
		timeout:  o.SessionTimeout,
	}
	c.life, c.endLife = context.WithCancel(context.Background())
	c.states.publish(StateChange{State: zk.StateDisconnected})
	if o.OnState != nil {
		changes, _ := c.States()
		<-changes // the present one
		c.wg.Go(func() {
			for s := range changes {
				o.OnState(s)
			}
		})
	}
	c.wg.Go(c.run)
	select {
	case <-c.ready:
		return c, nil
	case <-c.ended:
		c.wg.Wait()
		return nil, c.endErr
	case <-ctx.Done():
		c.stop()
		return nil, &ConnectError{Servers: c.servers, Errs: c.failures, Cause: ctx.Err()}
	}
}

// Close ends the session: the server removes its ephemeral nodes. Calls in progress are answered first; new ones fail with ErrClosed. It
// waits for the server's answer a short while and returns an error if none came: the session then ends by its timeout. It returns
// when all goroutines of the client have ended, so it must not be called from a callback of Watch.Do or Options.OnState. Further
// calls do nothing.
func (c *Client) Close() error {
	k := newCall(zk.OpCloseSession, "", nil, 0)
	k.internal = true
	c.mu.Lock()
	if c.closing || c.endErr != nil {
		c.mu.Unlock()
		c.wg.Wait()
		return nil
	}
	c.closing = true
	c.enqueueLocked(k)
	c.mu.Unlock()
	c.kick()
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	_, err := c.await(ctx, k)
	cancel()
	c.stop()
	if errors.Is(err, ErrClosed) || errors.Is(err, zk.ErrSessionExpired) {
		return nil // it ended by itself meanwhile
	}
	return err
}

// Detach closes the connection but leaves the session and its ephemeral nodes alive for their timeout, to be taken up through
// Options.Session. Calls in progress fail with ErrClosed. Otherwise it is like Close.
func (c *Client) Detach() Session {
	c.mu.Lock()
	c.closing = true
	s := c.session
	c.mu.Unlock()
	c.stop()
	return s
}

// stop ends everything at once and waits for it.
func (c *Client) stop() {
	c.endLife()
	c.wg.Wait()
}

// Done is closed when the client is over: closed, session expired or identity refused. Err says which.
func (c *Client) Done() <-chan struct{} { return c.ended }

// Err is nil until the client is over, then ErrClosed, zk.ErrSessionExpired or zk.ErrAuthFailed, perhaps wrapped.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endErr
}

// Session is the session's id and password, good for Options.Session.
func (c *Client) Session() Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// SessionID is the session's id.
func (c *Client) SessionID() int64 { return c.Session().ID }

// SessionTimeout is the timeout that the server granted last.
func (c *Client) SessionTimeout() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.timeout
}

// LastZxid is the highest zxid that a server has told this client. No server whose state is older is accepted.
func (c *Client) LastZxid() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastZxid
}

// full is a caller's path as the server knows it.
func (c *Client) full(path string) string {
	if c.chroot == "" {
		return path
	}
	if path == zk.Root {
		return c.chroot
	}
	return c.chroot + path
}

// local is a server's path as the caller knows it. Paths outside the chroot, which only a server's mistake could bring, stay as they are.
func (c *Client) local(path string) string {
	if c.chroot == "" {
		return path
	}
	if path == c.chroot {
		return zk.Root
	}
	if strings.HasPrefix(path, c.chroot+"/") {
		return path[len(c.chroot):]
	}
	return path
}
