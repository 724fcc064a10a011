package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gopherwood/replica"
)

// Error is what a Handler refuses a request with.
type Error struct {
	Status int    `json:"-"` // HTTP's
	Text   string `json:"error"`
	Leader uint16 `json:"leader,omitempty"` // server id of who leads, if that is what is wrong
}

// Error is the text.
func (e *Error) Error() string { return e.Text }

// NotLeader says that the request is for the leader, which is another member.
func (e *Error) NotLeader() bool { return e.Status == http.StatusMisdirectedRequest }

// Client asks one member. Its methods may be called from any goroutine.
type Client struct {
	// Addr is host:port, or a URL up to Prefix.
	Addr string
	// Authorization is sent as the header of that name; empty: none.
	Authorization string
	// HTTP does the requests. Default: http.DefaultClient.
	HTTP *http.Client
}

func (c *Client) do(ctx context.Context, method, what string, query url.Values) (*http.Response, error) {
	base := c.Addr
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	u := strings.TrimSuffix(base, "/") + Prefix + what
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, nil)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	req.Header.Set(Header, "1")
	if c.Authorization != "" {
		req.Header.Set("Authorization", c.Authorization)
	}
	h := c.HTTP
	if h == nil {
		h = http.DefaultClient
	}
	resp, err := h.Do(req)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	e := &Error{Status: resp.StatusCode}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	if err != nil || json.Unmarshal(body, e) != nil || e.Text == "" {
		e.Text = fmt.Sprintf("%s answers %s to %s: is this the admin port of a service that embeds replica?", c.Addr, resp.Status, u)
	}
	return nil, e
}

// ask does a request whose answer is JSON.
func (c *Client) ask(ctx context.Context, method, what string, query url.Values, v any) error {
	resp, err := c.do(ctx, method, what, query)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswerBytes)).Decode(v); err != nil {
		return fmt.Errorf("admin: %s answers with something else than JSON (%w): is this the admin port of a service that embeds replica?", c.Addr, err)
	}
	return nil
}

func (c *Client) change(ctx context.Context, what string, query url.Values) (*Status, error) {
	s := &Status{}
	return s, c.ask(ctx, http.MethodPost, what, query, s)
}

// Status asks for the member's account of itself.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	s := &Status{}
	return s, c.ask(ctx, http.MethodGet, "status", nil, s)
}

// Log asks for up to n entries of the member's log from index on.
func (c *Client) Log(ctx context.Context, from uint64, n int) (*replica.Log, error) {
	l := &replica.Log{}
	return l, c.ask(ctx, http.MethodGet, "log", url.Values{"from": {strconv.FormatUint(from, 10)}, "n": {strconv.Itoa(n)}}, l)
}

// Snapshot has the member write a snapshot.
func (c *Client) Snapshot(ctx context.Context) (*Status, error) {
	return c.change(ctx, "snapshot", nil)
}

// Transfer has the leader hand over, to any member if server is 0.
func (c *Client) Transfer(ctx context.Context, server uint16) (*Status, error) {
	q := url.Values{}
	if server != 0 {
		q.Set("to", strconv.Itoa(int(server)))
	}
	return c.change(ctx, "transfer", q)
}

// Add has the leader make a server a voter, or an observer.
func (c *Client) Add(ctx context.Context, server uint16, observer bool) (*Status, error) {
	return c.change(ctx, "add", url.Values{"id": {strconv.Itoa(int(server))}, "observer": {strconv.FormatBool(observer)}})
}

// Remove has the leader take a server out of the ensemble.
func (c *Client) Remove(ctx context.Context, server uint16) (*Status, error) {
	return c.change(ctx, "remove", url.Values{"id": {strconv.Itoa(int(server))}})
}

// Backup copies a backup from the member to w, and verifies it on its way.
func (c *Client) Backup(ctx context.Context, w io.Writer) (replica.BackupInfo, error) {
	resp, err := c.do(ctx, http.MethodGet, "backup", nil)
	if err != nil {
		return replica.BackupInfo{}, err
	}
	defer resp.Body.Close()
	info, err := replica.VerifyBackup(io.TeeReader(resp.Body, w))
	if err != nil {
		return info, fmt.Errorf("admin: the backup from %s did not arrive whole: %w", c.Addr, err)
	}
	return info, nil
}
