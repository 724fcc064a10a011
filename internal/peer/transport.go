package peer

import (
	"context"
	"io"
	"log/slog"
	"net"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// Handler is what a Transport delivers to. Its methods are called on the transport's goroutines, concurrently for different
// peers; for one peer, PeerUp, Deliver and PeerDown never overlap. They must not block for long: the connection waits
// meanwhile, and so does Close.
type Handler interface {
	// Deliver takes a message, which is the handler's from then on. Whether it is for this raft id is the handler's to decide.
	Deliver(m *Message)
	// PeerUp says that a connection from the peer is there: what it sends now arrives. raftID is 0 while the peer has none.
	PeerUp(serverID uint16, raftID uint64)
	// PeerDown says that the connection of the last PeerUp has ended, which for a process that died is at once.
	PeerDown(serverID uint16, raftID uint64)
	// Snapshot takes a whole snapshot file that arrives on its own connection; its bytes were checked, and r ends with
	// io.EOF only when all h.Size are there. It may take as long as it likes. nil says that the snapshot is stored durably (or was
	// not needed); an error's text goes to the sender.
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
	// Logger is where connections, refusals and losses are told; nil means slog.Default().
	Logger *slog.Logger

	MaxPendingBytes  int           // waiting for one peer; 0 means 64 MiB
	MaxInbound       int           // accepted connections; 0 means 256
	MaxSnapshots     int           // snapshot streams, in each direction; 0 means 2
	WriteTimeout     time.Duration // of a write without progress; 0 means 10 s
	HandshakeTimeout time.Duration // 0 means 5 s
	SnapshotIdle     time.Duration // of a snapshot stream without progress; 0 means 30 s
	SnapshotStore    time.Duration // for the receiver to make a snapshot durable; 0 means 5 min
}

// Transport connects one server with its peers. All its methods may be called from any goroutine.
type Transport struct{}

// New starts a transport, which accepts peers at once and dials those of SetPeers.
func New(cfg Config) (*Transport, error) { panic("not yet") }

// Addr is the address that it listens on.
func (t *Transport) Addr() net.Addr { panic("not yet") }

// SetPeers makes the peers, server id to host:port, the ones that are dialled: it adds, removes and re-addresses. The own
// server id is skipped. It does not wait for connections.
func (t *Transport) SetPeers(peers map[uint16]string) { panic("not yet") }

// SetIdentity changes what the transport says about itself, as after a join. If it differs, connections are made anew.
func (t *Transport) SetIdentity(raftID, clusterID uint64) { panic("not yet") }

// Send queues a message for a peer, encoding it before it returns. false says that it was dropped: the server is no peer, is not
// connected, or MaxPendingBytes already wait for it.
func (t *Transport) Send(to uint16, m *Message) bool { panic("not yet") }

// SendSnapshot sends size bytes of src on a connection of their own, at most bytesPerSecond (0: no limit), and returns nil
// when the receiver has them stored.
func (t *Transport) SendSnapshot(ctx context.Context, to uint16, h SnapshotHeader, src io.Reader, size, bytesPerSecond int64) error {
	panic("not yet")
}

// Connected says whether messages for the peer can leave: its outbound connection is there.
func (t *Transport) Connected(server uint16) bool { panic("not yet") }

// Close ends all connections and returns when no goroutine is left and no more callbacks come. It is idempotent.
func (t *Transport) Close() error { panic("not yet") }
