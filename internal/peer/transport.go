package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// Handler is what a Transport delivers to. Its methods are called on the transport's goroutines, concurrently for different
// peers; for one peer, PeerUp, Deliver and PeerDown never overlap. They must not block for long: the connection waits
// meanwhile, and so does Close. They must not call Close.
type Handler interface {
	// Deliver takes a message, which is the handler's from then on. Whether it is for this raft id is the handler's to decide.
	Deliver(m *Message)
	// PeerUp says that a connection from the peer is there: what it sends now arrives. raftID is 0 while the peer has none.
	PeerUp(serverID uint16, raftID uint64)
	// PeerDown says that the connection of the last PeerUp has ended, which for a process that died is at once. Every
	// PeerUp is followed by one, also when this transport closes.
	PeerDown(serverID uint16, raftID uint64)
	// Snapshot takes a whole snapshot file that arrives on its own connection; its bytes were checked, and r ends with
	// io.EOF only when all h.Size are there. It may take as long as it likes. nil says that the snapshot is stored durably
	// (or was not needed); an error's text goes to the sender.
	Snapshot(h SnapshotHeader, r io.Reader) error
}

// SnapshotHeader introduces a snapshot file.
type SnapshotHeader struct {
	From, To    uint64      // raft ids
	Index, Term uint64      // of the last entry that the snapshot covers
	Size        int64       // bytes of the file
	Raft        *pb.Message // the MsgSnap to step when the file is stored, if the sender put it here; nil otherwise
}

// Config says who a Transport is and what it works with.
type Config struct {
	ServerID  uint16 // 1…65535
	RaftID    uint64 // 0 until SetIdentity
	ClusterID uint64 // 0, unknown, fits every cluster
	Handler   Handler

	// Listen is the host:port to accept peers on; Listener, if not nil, is used in its place and is the Transport's to close.
	Listen   string
	Listener net.Listener
	// Dial connects to a peer; nil means TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// TLS protects all connections; nil: they are plain.
	TLS *TLS
	// Logger is told of connections, refusals and losses; nil means slog.Default().
	Logger *slog.Logger

	MaxPendingBytes  int           // waiting for one peer; 0 means 64 MiB
	MaxInbound       int           // accepted connections; 0 means 256
	MaxSnapshots     int           // snapshot streams, in each direction; 0 means 2
	WriteTimeout     time.Duration // of a write without progress; 0 means 10 s
	HandshakeTimeout time.Duration // 0 means 5 s
	SnapshotIdle     time.Duration // of a snapshot stream without progress; 0 means 30 s
	SnapshotStore    time.Duration // for the receiver to make a snapshot durable; 0 means 5 min
}

func (c *Config) validate() error {
	switch {
	case c.ServerID == 0:
		return errors.New("peer: Config.ServerID is 0")
	case c.RaftID != 0 && ServerID(c.RaftID) != c.ServerID:
		return fmt.Errorf("peer: Config.RaftID %x is not of server %d", c.RaftID, c.ServerID)
	case c.Handler == nil:
		return errors.New("peer: Config.Handler is nil")
	}
	return nil
}

func (c *Config) setDefaults() {
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", addr)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	setDefault(&c.MaxPendingBytes, defaultMaxPendingBytes)
	setDefault(&c.MaxInbound, defaultMaxInbound)
	setDefault(&c.MaxSnapshots, defaultMaxSnapshots)
	setDefault(&c.WriteTimeout, defaultWriteTimeout)
	setDefault(&c.HandshakeTimeout, defaultHandshakeTimeout)
	setDefault(&c.SnapshotIdle, defaultSnapshotIdle)
	setDefault(&c.SnapshotStore, defaultSnapshotStore)
}

func setDefault[T int | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}

// ErrClosed is returned by what a closed Transport cannot do any more.
var ErrClosed = errors.New("peer: transport is closed")

// Transport connects one server with its peers. All its methods may be called from any goroutine.
//
// Goroutines: one accepts; each accepted connection has one; each peer has one that dials and writes, and while it is connected
// one that waits for the connection's end; each SendSnapshot has one that waits for the verdict. Close waits for all of them.
type Transport struct {
	// Constant after New.
	cfg     Config
	log     *slog.Logger
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	wg      sync.WaitGroup // every goroutine, and every SendSnapshot
	sending chan struct{}  // a token for each snapshot being sent
	storing chan struct{}  // and received

	// Atomic. Written under mu; the map is replaced, never changed.
	peers atomic.Pointer[map[uint16]*outbound]
	own   atomic.Pointer[identity]

	mu       sync.Mutex
	listener net.Listener
	started  bool // acceptLoop runs
	closed   bool
	accepted map[net.Conn]struct{}
	inbound  map[uint16]*inbound // the messages connection from each server
	refusals map[refusalKey]time.Time
}

// New makes a transport that listens. It accepts and dials from the first SetPeers on, so that no callback comes before the
// caller has put the Transport where its Handler finds it.
func New(cfg Config) (*Transport, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	listener := cfg.Listener
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", cfg.Listen); err != nil {
			return nil, fmt.Errorf("peer: listen for peers: %w", err)
		}
	}
	t := &Transport{
		cfg:      cfg,
		log:      cfg.Logger,
		listener: listener,
		sending:  make(chan struct{}, cfg.MaxSnapshots),
		storing:  make(chan struct{}, cfg.MaxSnapshots),
		accepted: map[net.Conn]struct{}{},
		inbound:  map[uint16]*inbound{},
		refusals: map[refusalKey]time.Time{},
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.peers.Store(&map[uint16]*outbound{})
	t.own.Store(&identity{raftID: cfg.RaftID, clusterID: cfg.ClusterID})
	return t, nil
}

// Addr is the address that it listens on.
func (t *Transport) Addr() net.Addr {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.listener.Addr()
}

// Relisten accepts peers on another address from now on, and no more on the one before. What is connected stays. On an error nothing has changed.
func (t *Transport) Relisten(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("peer: listen for peers: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		l.Close()
		return ErrClosed
	}
	t.listener.Close()
	t.listener = l
	if t.started {
		t.wg.Go(func() { t.acceptLoop(l) })
	}
	return nil
}

// SetPeers makes the peers, server id to host:port, the ones that are dialled: it adds, removes and re-addresses. The own
// server id is skipped. The first call, for which nil will do, starts the transport. It does not wait for connections, and what is queued for a peer that goes is dropped. A connection to
// one that moves stays while it lasts, for that may be how it hears of it; then both addresses are tried.
// Connections from servers that are not in the map are taken all the same: a server that wants to join is in nobody's.
func (t *Transport) SetPeers(peers map[uint16]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	if !t.started {
		t.started = true
		l := t.listener
		t.wg.Go(func() { t.acceptLoop(l) })
	}
	old := *t.peers.Load()
	next := make(map[uint16]*outbound, len(peers))
	for server, addr := range peers {
		if server == t.cfg.ServerID {
			continue
		}
		if p := old[server]; p != nil {
			if p.address() != addr {
				p.move(addr)
			}
			next[server] = p
			continue
		}
		p := newOutbound(t, server, addr)
		next[server] = p
		t.wg.Go(p.run)
	}
	t.peers.Store(&next)
	for server, p := range old {
		if next[server] != p {
			p.stop()
		}
	}
}

// SetIdentity changes what the transport says about itself, as after a join. If anything differs, its connections to the peers
// are made anew, so that they see PeerDown and PeerUp with the new raft id, and connections from another cluster end.
func (t *Transport) SetIdentity(raftID, clusterID uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := identity{raftID: raftID, clusterID: clusterID}
	if *t.own.Load() == own {
		return
	}
	t.own.Store(&own)
	for _, p := range *t.peers.Load() {
		p.renew()
	}
	for _, in := range t.inbound {
		if !own.fits(in.hello.identity) {
			in.conn.Close()
		}
	}
}

// Send queues a message for a peer, encoding it before it returns. false says that it was dropped: the server is no peer,
// is not connected, has MaxPendingBytes waiting already, or the message is longer than MaxMessageBytes. true is no promise
// that it arrives: what a connection holds when it breaks is lost.
func (t *Transport) Send(to uint16, m *Message) bool {
	p := (*t.peers.Load())[to]
	return p != nil && p.send(m)
}

// Knows says whether the peer is dialled at that address.
func (t *Transport) Knows(server uint16, addr string) bool {
	p := (*t.peers.Load())[server]
	return p != nil && p.address() == addr
}

// Connected says whether messages for the peer can leave: the connection that this side dialled is there.
func (t *Transport) Connected(server uint16) bool {
	p := (*t.peers.Load())[server]
	return p != nil && p.connected()
}

// Close ends all connections and returns when no goroutine is left and no more callbacks come. It is idempotent.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.closed = true
	t.cancel()
	t.listener.Close()
	for conn := range t.accepted {
		conn.Close()
	}
	for _, p := range *t.peers.Load() {
		p.stop()
	}
	t.mu.Unlock()
	t.wg.Wait()
	return nil
}

var keepAlive = net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount}

// tune sets a new connection's options.
func tune(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetNoDelay(true)              // is Go's default; said here because latency hangs on it
		_ = tcp.SetKeepAliveConfig(keepAlive) // a connection without it works too, and only its end is found later
	}
}
