package zkha

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gopherwood/client"
	"gopherwood/zk"
)

// The election is ZooKeeper's recipe: each candidate makes an ephemeral sequential node; whose number is the lowest leads; each of the others
// watches the one before it.

const (
	electionPath = "/fsmaster/election"
	candidate    = electionPath + "/n_"
)

// session is one session with ZooKeeper, and the candidacy in it.
type session struct {
	zk    *client.Client
	name  string // of the node, without the path
	epoch uint64 // czxid of the node: higher than that of every candidate before
}

// join opens a session and becomes a candidate in it. data is what others see of this one: where it serves.
func join(ctx context.Context, servers string, timeout time.Duration, data string) (*session, error) {
	c, err := client.Connect(ctx, servers, client.Options{SessionTimeout: timeout})
	if err != nil {
		return nil, fmt.Errorf("zkha: %w", err)
	}
	for _, dir := range []string{"/fsmaster", electionPath} {
		if _, err := c.Create(ctx, dir, nil, client.CreateOptions{}); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return nil, errors.Join(fmt.Errorf("zkha: %w", err), c.Close())
		}
	}
	path, stat, err := c.Create2(ctx, candidate, []byte(data), client.CreateOptions{Mode: zk.ModeEphemeralSequential})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("zkha: %w", err), c.Close())
	}
	if stat.Czxid == 0 { // a server before 3.9 does not tell it with the answer
		if stat, _, err = c.Exists(ctx, path); err != nil {
			return nil, errors.Join(fmt.Errorf("zkha: %w", err), c.Close())
		}
	}
	return &session{zk: c, name: strings.TrimPrefix(path, electionPath+"/"), epoch: uint64(stat.Czxid)}, nil
}

// candidates are the names of the candidates' nodes, the leader's first.
func (s *session) candidates(ctx context.Context) ([]string, error) {
	names, _, err := s.zk.Children(ctx, electionPath)
	slices.Sort(names) // the numbers have leading zeros
	return names, err
}

// await returns when this candidate leads, or with an error when its session is over.
func (s *session) await(ctx context.Context) error {
	for {
		names, err := s.candidates(ctx)
		if err != nil {
			return err
		}
		i := slices.Index(names, s.name)
		if i < 0 {
			return zk.ErrSessionExpired
		}
		if i == 0 {
			return nil
		}
		_, there, watch, err := s.zk.ExistsW(ctx, electionPath+"/"+names[i-1])
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		select {
		case <-watch.Events():
		case <-s.zk.Done():
			return s.zk.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// leader is where the leader serves, empty if nobody leads.
func (s *session) leader(ctx context.Context) (string, error) {
	names, err := s.candidates(ctx)
	if err != nil || len(names) == 0 {
		return "", err
	}
	data, _, err := s.zk.Get(ctx, electionPath+"/"+names[0])
	return string(data), err
}
