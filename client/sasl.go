package client

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"gopherwood/internal/sasl"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// SASL is how a client authenticates itself, on every connection and before anything else is sent on it.
type SASL struct {
	Mechanism string // "DIGEST-MD5" or "SCRAM-SHA-256"
	User      string
	Password  string
}

// validate says what cannot be; never the password.
func (s *SASL) validate() error {
	_, err := sasl.NewClient(s.Mechanism, s.User, s.Password)
	if err != nil {
		return fmt.Errorf("client: Options.SASL: %w", err)
	}
	return nil
}

// proveSASL authenticates the client on a connection that nobody else uses yet. zk.ErrAuthFailed in its error ends the client: the server has
// refused it, or has not proved that it knows the password too.
func (c *Client) proveSASL(nc net.Conn) error {
	s := c.opts.SASL
	x, err := sasl.NewClient(s.Mechanism, s.User, s.Password)
	if err != nil {
		return err
	}
	var challenge []byte
	for {
		token, err := x.Step(challenge)
		if err != nil {
			return fmt.Errorf("SASL %s as %s: %w: %w", s.Mechanism, s.User, err, zk.ErrAuthFailed)
		}
		if x.Done() {
			return nil
		}
		if challenge, err = c.exchangeToken(nc, token); err != nil {
			return fmt.Errorf("SASL %s as %s: %w", s.Mechanism, s.User, err)
		}
	}
}

// exchangeToken sends a token and reads the server's. Nothing else can come: no watch is armed on this connection.
func (c *Client) exchangeToken(nc net.Conn, token []byte) ([]byte, error) {
	c.mu.Lock()
	c.xid = nextXid(c.xid)
	h := wire.RequestHeader{Xid: c.xid, Type: zk.OpSASL}
	c.mu.Unlock()
	b, mark := wire.BeginFrame(nil)
	b = (&wire.GetSASLRequest{Token: token}).Append(h.Append(b))
	if err := wire.EndFrame(b, mark); err != nil {
		return nil, err
	}
	if _, err := nc.Write(b); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrNotServing)
	}
	frame, err := readFrame(nc, sasl.MaxTokenBytes)
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil, ErrNotServing
	}
	if err != nil {
		return nil, err
	}
	d := wire.NewDecoder(frame)
	var reply wire.ReplyHeader
	var r wire.SetSASLResponse
	reply.Decode(&d)
	switch {
	case d.Err() == nil && reply.Xid != h.Xid:
		return nil, fmt.Errorf("an answer with xid %d to %d", reply.Xid, h.Xid)
	case d.Err() == nil && reply.Err == zk.ErrSessionClosedRequireSASL:
		return nil, zk.ErrAuthFailed
	case d.Err() == nil && reply.Err != zk.OK:
		return nil, reply.Err
	}
	if r.Decode(&d); d.Err() != nil {
		return nil, d.Err()
	}
	return r.Token, nil
}
