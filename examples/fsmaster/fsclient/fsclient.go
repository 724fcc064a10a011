// Package fsclient talks to fsmaster's masters: it finds one that serves, and says of an operation whether it was carried out, was not, or may have been.
package fsclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"gopherwood/examples/fsmaster/core"
)

const (
	maxAnswer = 64 << 20
	// pause is between two rounds through all masters.
	pause = 5 * time.Millisecond
)

// ErrUnknown says that an operation may have been carried out, or not.
var ErrUnknown = errors.New("outcome unknown")

// Client talks to the masters at addresses host:port. Any goroutine may use it.
type Client struct {
	Masters []string
	// Timeout bounds one request to one master; 0: none. It is what notices a master that hangs.
	Timeout time.Duration

	http http.Client
	last atomic.Int32 // index of the master that served last
}

// New makes a client. conns is how many requests it has under way at most.
func New(masters []string, conns int) *Client {
	c := &Client{Masters: masters}
	c.http.Transport = &http.Transport{MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns, DisableCompression: true}
	return c
}

// Refusal is a master's answer other than a result.
type Refusal struct {
	Status int    `json:"-"`
	Text   string `json:"error"`
	Leader string `json:"leader,omitempty"`
}

// Error is what the master said.
func (r *Refusal) Error() string { return r.Text }

// Do carries out an operation on whichever master serves. It goes on from master to master while it is certain that nothing was done, until ctx ends.
func (c *Client) Do(ctx context.Context, op core.Op) (*core.Result, error) {
	body, err := json.Marshal(&op)
	if err != nil {
		return nil, err
	}
	var result core.Result
	err = c.somewhere(ctx, func(master string) error {
		return c.once(ctx, http.MethodPost, master, "/v1/op", body, &result)
	})
	if err != nil {
		return nil, err
	}
	return &result, nil
}

// DoOnce carries out an operation on one master, or does not.
func (c *Client) DoOnce(ctx context.Context, master string, op core.Op) (*core.Result, error) {
	body, err := json.Marshal(&op)
	if err != nil {
		return nil, err
	}
	var result core.Result
	if err := c.once(ctx, http.MethodPost, master, "/v1/op", body, &result); err != nil {
		return nil, err
	}
	return &result, nil
}

// Get asks for what is under a path of the interface, such as "/v1/stat".
func (c *Client) Get(ctx context.Context, path string, query url.Values, v any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.somewhere(ctx, func(master string) error { return c.once(ctx, http.MethodGet, master, path, nil, v) })
}

// Status asks one master.
func (c *Client) Status(ctx context.Context, master string) (*Status, error) {
	s := &Status{}
	return s, c.once(ctx, http.MethodGet, master, "/v1/status", nil, s)
}

// Status is a master's account of itself.
type Status struct {
	HA     string `json:"ha"`
	Active bool   `json:"active"` // it leads
	Ready  bool   `json:"ready"`  // it serves
	Term   uint64 `json:"term"`
	Inodes int    `json:"inodes"`
	Digest string `json:"digest"`
	Phase  string `json:"phase,omitempty"`
}

// somewhere tries the masters one after the other.
func (c *Client) somewhere(ctx context.Context, try func(master string) error) error {
	for n := int32(0); ; n++ {
		i := (c.last.Load() + n) % int32(len(c.Masters))
		err := try(c.Masters[i])
		var refusal *Refusal
		switch {
		case err == nil:
			c.last.Store(i)
			return nil
		case errors.As(err, &refusal) && refusal.Status != http.StatusMisdirectedRequest && refusal.Status != http.StatusServiceUnavailable, errors.Is(err, ErrUnknown):
			return err
		}
		if (n+1)%int32(len(c.Masters)) != 0 {
			continue
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("no master serves: %w", err)
		}
	}
}

// once asks one master once.
func (c *Client) once(ctx context.Context, method, master, path string, body []byte, v any) error {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	sent := &noted{r: bytes.NewReader(body)}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+master+path, sent)
	if err != nil {
		return err
	}
	req.ContentLength = int64(len(body))
	if len(body) == 0 {
		req.Body = http.NoBody
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if sent.read.Load() && method == http.MethodPost {
			return fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil && method == http.MethodPost:
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	case err != nil:
		return err
	case resp.StatusCode == http.StatusOK:
		return json.Unmarshal(b, v)
	}
	r := &Refusal{Status: resp.StatusCode}
	if json.Unmarshal(b, r) != nil || r.Text == "" {
		r.Text = fmt.Sprintf("%s: %s", master, resp.Status)
	}
	if resp.StatusCode == http.StatusGatewayTimeout && method == http.MethodPost {
		return fmt.Errorf("%w: %w", ErrUnknown, r)
	}
	return r
}

// noted notes whether anything of a body was sent.
type noted struct {
	r    io.Reader
	read atomic.Bool
}

func (n *noted) Read(b []byte) (int, error) {
	n.read.Store(true)
	return n.r.Read(b)
}
