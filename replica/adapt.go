package replica

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"gopherwood/internal/node"
	"gopherwood/internal/peer"
)

// machine is the user's state machine as the stepped core knows one. The contract is declared twice, for readers in this package and for the core in
// internal/node: one call through an interface more per command, which is no part in a thousand of what a command costs.
// It belongs to the loop goroutine but for Restore, during which the loop calls nothing of it, and the views' WriteTo.
type machine struct {
	// Constant.
	sm       StateMachine
	name     string // for errors: its Go type
	batcher  Batcher
	observer LeaderObserver
	ticker   Ticker
	handler  MessageHandler
	watcher  MembersObserver
	r        *Replica

	members []Member // used again for each call
}

// digesting is a machine that has a digest. The core compares digests if there is one.
type digesting struct {
	*machine
	digester Digester
}

func (r *Replica) adapt(sm StateMachine) node.StateMachine {
	m := &machine{sm: sm, name: fmt.Sprintf("%T", sm), r: r}
	m.batcher, _ = sm.(Batcher)
	m.observer, _ = sm.(LeaderObserver)
	m.ticker, _ = sm.(Ticker)
	m.handler, _ = sm.(MessageHandler)
	m.watcher, _ = sm.(MembersObserver)
	if d, ok := sm.(Digester); ok {
		return &digesting{m, d}
	}
	return m
}

func (m *machine) Apply(c node.Command) any { return m.sm.Apply(Command(c)) }

func (d *digesting) Digest() uint64 { return d.digester.Digest() }

func (m *machine) BeginBatch() {
	if m.batcher != nil {
		m.batcher.BeginBatch()
	}
}

func (m *machine) EndBatch() {
	if m.batcher != nil {
		m.batcher.EndBatch()
	}
	m.r.progress.applied(m.r)
}

func (m *machine) LeaderChanged(l node.Leadership) {
	if m.observer != nil {
		m.observer.LeaderChanged(Leadership(l))
	}
	m.r.terms.leaderChanged(l)
}

func (m *machine) Tick(nowMs int64) {
	if m.ticker != nil {
		m.ticker.Tick(nowMs)
	}
}

func (m *machine) Message(from uint64, data []byte) {
	if m.handler != nil {
		m.handler.Message(from, data)
	}
}

func (m *machine) MembersChanged(members []peer.Member, joint bool) {
	if m.watcher == nil {
		return
	}
	m.members = appendMembers(m.members[:0], members)
	m.watcher.MembersChanged(m.members, joint)
}

func appendMembers(to []Member, from []peer.Member) []Member {
	for _, k := range from {
		to = append(to, Member(k))
	}
	return to
}

func peerMembers(from []Member) []peer.Member {
	to := make([]peer.Member, 0, len(from))
	for _, k := range from {
		to = append(to, peer.Member(k))
	}
	return to
}

func (m *machine) View() (node.View, error) {
	v, err := m.sm.View()
	if err != nil {
		return nil, m.failed("View", err)
	}
	if v == nil {
		return nil, m.failed("View", errNilView)
	}
	return &view{View: v, m: m}, nil
}

// errNilView is for a state machine that has neither a view nor an error.
var errNilView = fmt.Errorf("it returned no view and no error")

// view adds to a View's errors whose they are. Its WriteTo runs on another goroutine than the machine's other methods.
type view struct {
	View
	m *machine
}

func (v *view) WriteTo(w io.Writer) (n int64, err error) {
	defer v.m.recovered("View.WriteTo", &err)
	n, err = v.View.WriteTo(w)
	return n, v.m.failed("View.WriteTo", err)
}

func (m *machine) Restore(r io.Reader) (err error) {
	defer m.recovered("Restore", &err)
	return m.failed("Restore", m.sm.Restore(r))
}

// recovered makes a panic on a goroutine that is not the loop's an error.
func (m *machine) recovered(method string, err *error) {
	if v := recover(); v != nil {
		*err = &MachineError{Machine: m.name, Method: method, Panic: v, Stack: debug.Stack()}
	}
}

// failed says whose error it is.
func (m *machine) failed(method string, err error) error {
	if err == nil {
		return nil
	}
	return &MachineError{Machine: m.name, Method: method, Err: err}
}

// MachineError says that a state machine has panicked, or could not write or restore its state.
type MachineError struct {
	Machine string // its Go type
	Method  string // of StateMachine, View, or an interface beside them
	Index   uint64 // of the entry that was being applied; 0 unless Apply panicked
	Term    uint64
	Err     error  // what the method returned; nil if it panicked
	Panic   any    // what it panicked with
	Stack   []byte // where
}

// Error names the state machine, the method and the place.
func (e *MachineError) Error() string {
	s := "replica: the state machine " + e.Machine
	switch {
	case e.Err != nil:
		return s + ": " + e.Method + ": " + e.Err.Error()
	case e.Index != 0:
		s += fmt.Sprintf(" panicked in %s at index %d of term %d", e.Method, e.Index, e.Term)
	default:
		s += " panicked in " + e.Method
	}
	return fmt.Sprintf("%s: %v; the command is in the log and will be applied again at the next start: put the state machine right first, on every member\n%s", s, e.Panic, e.Stack)
}

// Unwrap is the error of the method.
func (e *MachineError) Unwrap() error { return e.Err }

// unhook lets the state machine rest: it has panicked, and may hold its own locks.
func (r *Replica) unhook() {
	m, ok := r.machine.(*machine)
	if d, is := r.machine.(*digesting); is {
		m, ok = d.machine, true
	}
	if ok {
		m.batcher = nil
	}
}

// machineMethods are the methods of machine in which the loop is inside the user's code.
var machineMethods = []string{"Apply", "View", "BeginBatch", "EndBatch", "LeaderChanged", "Tick", "Message", "MembersChanged", "Digest"}

// panicked is deferred by the loop goroutine. A panic inside the state machine stops the replica with an error that names it; any other is
// a broken invariant of this package and ends the process. The stack says which, so that the way of a command carries no marks.
func (r *Replica) panicked() {
	method := machineMethod()
	if method == "" {
		return
	}
	v := recover()
	if v == nil {
		return
	}
	e := &MachineError{Machine: fmt.Sprintf("%T", r.sm), Method: method, Panic: v, Stack: debug.Stack()}
	if method == "Apply" && r.node != nil {
		e.Index, e.Term = r.node.Applied()
	}
	r.fatal(e)
	r.broken = true
}

// machineMethod is the method of the state machine that the caller's panic comes out of, empty for none.
func machineMethod() string {
	pcs := make([]uintptr, maxPanicFrames)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	for {
		f, more := frames.Next()
		for _, receiver := range []string{"gopherwood/replica.(*machine).", "gopherwood/replica.(*digesting)."} {
			if method, ok := strings.CutPrefix(f.Function, receiver); ok && slices.Contains(machineMethods, method) {
				return method
			}
		}
		if !more {
			return ""
		}
	}
}

var (
	_ node.Batcher         = (*machine)(nil)
	_ node.LeaderObserver  = (*machine)(nil)
	_ node.Ticker          = (*machine)(nil)
	_ node.MessageHandler  = (*machine)(nil)
	_ node.MembersObserver = (*machine)(nil)
	_ node.Digester        = (*digesting)(nil)
)
