package server

import (
	"slices"

	"gopherwood/internal/sasl"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// sasl takes a client's token and answers it (ZooKeeperServer.processSasl). Like an auth request it acts at once: requests that are sent behind the last token have the
// identity, those before do not.
func (r *run) sasl(h *wire.RequestHeader, body []byte) error {
	var req wire.GetSASLRequest
	d := wire.NewDecoder(body)
	req.Decode(&d)
	if err := d.Err(); err != nil {
		return r.malformed(h, err)
	}
	c := r.c
	security := &c.srv.cfg.Security
	if len(security.SASL) == 0 {
		c.srv.noisy.warn("a client wants to authenticate itself by SASL, for which this server is not configured (--sasl-users, --jaas)", "client", c)
		r.answerSASL(h, zk.OK, nil, moreReplies)
		return nil
	}
	if c.sasl == nil {
		c.sasl = sasl.NewExchange(security.SASL)
	}
	answer, user, err := c.sasl.Step(req.Token)
	if err == nil && user != "" {
		ids := []zk.ID{{Scheme: schemeSASL, ID: user}}
		if security.AnySASLUser != "" {
			ids = append(ids, zk.ID{Scheme: schemeAnySASL, ID: security.AnySASLUser})
		}
		if slices.Contains(security.SuperUsers, user) {
			ids = append(ids, zk.ID{Scheme: schemeSuper})
		}
		if err = c.addIdentities(ids); err == nil {
			c.srv.noisy.info("a client has authenticated itself by SASL", "client", c, "session", hex(c.session), "user", user, "mechanism", c.sasl.Mechanism())
		}
	}
	if err != nil {
		r.failSASL(h, err)
		return nil
	}
	r.answerSASL(h, zk.OK, answer, moreReplies)
	return nil
}

// failSASL answers a token that proves nothing.
func (r *run) failSASL(h *wire.RequestHeader, err error) {
	c := r.c
	security := &c.srv.cfg.Security
	c.srv.stats.authFails.Add(1)
	required := slices.Contains(security.Enforce, schemeSASL)
	if security.KeepFailedSASL && !required {
		c.srv.noisy.warn("a client's SASL authentication failed; its connection is kept (allowSaslFailedClients)", "client", c, "error", err)
		r.answerSASL(h, zk.OK, nil, moreReplies)
		return
	}
	c.srv.noisy.warn("a client's SASL authentication failed, so its connection is closed", "client", c, "error", err)
	code := zk.ErrAuthFailed
	if required {
		code = zk.ErrSessionClosedRequireSASL
	}
	r.answerSASL(h, code, nil, lastReply)
}

// answerSASL sends a token in its turn. There is one behind an error too: none.
func (r *run) answerSASL(h *wire.RequestHeader, code zk.Code, token []byte, f finality) {
	resp := wire.SetSASLResponse{Token: token}
	r.decidedWith(h, code, resp.Append(nil), f)
}
