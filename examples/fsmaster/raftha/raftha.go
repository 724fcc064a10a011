// Package raftha makes fsmaster's core available by package replica: the state machine is inside the masters, and nothing else has to be there.
//
//	clients ──▶ any master ── Do ──▶ replica ⇄ the other masters' replicas ──▶ core.FS on every one
package raftha

import (
	"context"
	"io"
	"sync"

	"gopherwood/examples/fsmaster/core"
	"gopherwood/replica"
)

// machine is core.FS as a replica.StateMachine.
type machine struct {
	mu sync.RWMutex
	fs *core.FS
}

// NewMachine makes an empty one.
func NewMachine() replica.StateMachine { return &machine{fs: core.New()} }

func (m *machine) BeginBatch() { m.mu.Lock() }
func (m *machine) EndBatch()   { m.mu.Unlock() }

// Apply implements replica.StateMachine.
func (m *machine) Apply(c replica.Command) any {
	var op core.Op
	if err := op.Decode(c.Data); err != nil {
		return &core.Result{Code: core.Invalid, Detail: err.Error()}
	}
	return m.fs.Apply(&op, core.Env{TimeMs: c.TimeMs, Term: c.Term})
}

// View implements replica.StateMachine.
func (m *machine) View() (replica.View, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fs.View(), nil
}

// Restore implements replica.StateMachine.
func (m *machine) Restore(r io.Reader) error {
	fs, err := core.Restore(r)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fs = fs
	return nil
}

// Digest implements replica.Digester.
func (m *machine) Digest() uint64 { return m.fs.Digest() }

// Master is one of the masters.
type Master struct {
	*replica.Replica
	m *machine
}

// Start starts one.
func Start(cfg replica.Config) (*Master, error) {
	m := &machine{fs: core.New()}
	r, err := replica.Start(cfg, m)
	return &Master{r, m}, err
}

// Do carries out an operation, whoever leads.
func (m *Master) Do(ctx context.Context, op core.Op) (*core.Result, error) {
	result, err := m.Replica.Do(ctx, op.Append(nil))
	if err != nil {
		return nil, err
	}
	return result.(*core.Result), nil
}

// Read reads the state with everything that was acknowledged before.
func (m *Master) Read(ctx context.Context, read func(*core.FS)) error {
	if err := m.Sync(ctx); err != nil {
		return err
	}
	m.Peek(read)
	return nil
}

// Peek reads the state as far as this master has it.
func (m *Master) Peek(read func(*core.FS)) {
	m.m.mu.RLock()
	defer m.m.mu.RUnlock()
	read(m.m.fs)
}

// Term is the present term, if this master leads in it.
func (m *Master) Term() (uint64, bool) {
	l := m.Status().Leadership
	return l.Term, l.Mine
}
