package client

import (
	"context"
	"time"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// CreateOptions says what kind of node Create makes. The zero value is a persistent node that is open to everybody.
type CreateOptions struct {
	Mode zk.CreateMode
	ACL  []zk.ACL      // nil: zk.OpenACL()
	TTL  time.Duration // with zk.ModeTTL and zk.ModeTTLSequential, and only then; counted in milliseconds
}

func (o *CreateOptions) acl() []zk.ACL {
	if o.ACL == nil {
		return zk.OpenACL()
	}
	return o.ACL
}

// check validates a create on the client's side.
func (o *CreateOptions) check(path string) error {
	validate := zk.ValidatePath
	if o.Mode.IsSequential() {
		validate = zk.ValidateSequentialPath
	}
	err := validate(path)
	if err == nil && o.TTL != 0 && !o.Mode.IsTTL() {
		err = zk.ErrBadArguments
	}
	if err != nil {
		return &Error{Op: opName(zk.OpCreate), Path: path, Cause: err}
	}
	return nil
}

// Create makes a node and returns its path, which for sequential ones is longer than the one given.
func (c *Client) Create(ctx context.Context, path string, data []byte, o CreateOptions) (string, error) {
	if err := o.check(path); err != nil {
		return "", err
	}
	r, err := run(ctx, c, c.createOp(zk.OpCreate, path, data, &o))
	return r.value, err
}

// Create2 is Create that also returns the new node's Stat.
func (c *Client) Create2(ctx context.Context, path string, data []byte, o CreateOptions) (string, zk.Stat, error) {
	if err := o.check(path); err != nil {
		return "", zk.Stat{}, err
	}
	r, err := run(ctx, c, c.createOp(zk.OpCreate2, path, data, &o))
	return r.value, r.stat, err
}

// createCode is the operation for a mode; code is the one for ordinary nodes.
func createCode(code zk.OpCode, mode zk.CreateMode) zk.OpCode {
	switch {
	case mode == zk.ModeContainer:
		return zk.OpCreateContainer
	case mode.IsTTL():
		return zk.OpCreateTTL
	}
	return code
}

func (c *Client) createOp(code zk.OpCode, path string, data []byte, o *CreateOptions) op[withStat[string]] {
	code = createCode(code, o.Mode)
	full := c.full(path)
	var body record = &wire.CreateRequest{Path: full, Data: data, ACL: o.acl(), Flags: o.Mode}
	if code == zk.OpCreateTTL {
		body = &wire.CreateTTLRequest{Path: full, Data: data, ACL: o.acl(), Flags: o.Mode, TTL: o.TTL.Milliseconds()}
	}
	k := c.request(code, path, body, len(c.chroot)+len(data)+64)
	return op[withStat[string]]{k, func(d *wire.Decoder) (r withStat[string]) {
		r.value = c.local(d.String())
		if code != zk.OpCreate {
			d.Stat(&r.stat)
		}
		return r
	}}
}

// Set replaces a node's data if its version is the given one, or AnyVersion, and returns the new Stat.
func (c *Client) Set(ctx context.Context, path string, data []byte, version int32) (zk.Stat, error) {
	if err := badPath(zk.OpSetData, path); err != nil {
		return zk.Stat{}, err
	}
	return run(ctx, c, c.setOp(path, data, version))
}

func (c *Client) setOp(path string, data []byte, version int32) op[zk.Stat] {
	body := &wire.SetDataRequest{Path: c.full(path), Data: data, Version: version}
	return op[zk.Stat]{c.request(zk.OpSetData, path, body, len(c.chroot)+len(data)), statOnly}
}

// Delete removes a node without children if its version is the given one, or AnyVersion.
func (c *Client) Delete(ctx context.Context, path string, version int32) error {
	if err := badPath(zk.OpDelete, path); err != nil {
		return err
	}
	_, err := run(ctx, c, c.deleteOp(path, version))
	return err
}

func (c *Client) deleteOp(path string, version int32) op[struct{}] {
	body := &wire.DeleteRequest{Path: c.full(path), Version: version}
	return op[struct{}]{c.request(zk.OpDelete, path, body, len(c.chroot)), nothing}
}

// ACL is a node's access control list and Stat. Passwords in it are masked for those who may not change it.
func (c *Client) ACL(ctx context.Context, path string) ([]zk.ACL, zk.Stat, error) {
	if err := badPath(zk.OpGetACL, path); err != nil {
		return nil, zk.Stat{}, err
	}
	k := c.request(zk.OpGetACL, path, &wire.GetACLRequest{Path: c.full(path)}, len(c.chroot))
	k.again = true
	r, err := run(ctx, c, op[wire.GetACLResponse]{k, func(d *wire.Decoder) (r wire.GetACLResponse) {
		r.Decode(d)
		return r
	}})
	return r.ACL, r.Stat, err
}

// SetACL replaces a node's ACL if its Aversion is the given one, or AnyVersion, and returns the new Stat.
func (c *Client) SetACL(ctx context.Context, path string, acl []zk.ACL, version int32) (zk.Stat, error) {
	if err := badPath(zk.OpSetACL, path); err != nil {
		return zk.Stat{}, err
	}
	body := &wire.SetACLRequest{Path: c.full(path), ACL: acl, Version: version}
	k := c.request(zk.OpSetACL, path, body, len(c.chroot)+48*len(acl))
	return run(ctx, c, op[zk.Stat]{k, statOnly})
}

// AddAuth proves an identity to the server, on this connection and every later one. It fails with zk.ErrAuthFailed if the server
// refuses it; the server then closes the connection, and the client goes on without that identity.
func (c *Client) AddAuth(ctx context.Context, a Auth) error {
	_, err := run(ctx, c, op[struct{}]{authCall(a), nothing})
	return err
}

func authCall(a Auth) *call {
	k := newCall(zk.OpAuth, "", &wire.AuthPacket{Scheme: a.Scheme, Auth: a.Auth}, len(a.Scheme)+len(a.Auth))
	k.auth, k.again = a, true
	return k
}

func (a Auth) equal(b Auth) bool { return a.Scheme == b.Scheme && string(a.Auth) == string(b.Auth) }
