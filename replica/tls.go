package replica

import (
	"fmt"
	"log/slog"

	"gopherwood/internal/certs"
	"gopherwood/internal/peer"
)

// TLS protects the connections between members: each shows a certificate that an authority of CAFile has signed, for its host's name or address,
// and wants to see one. The files are PEM, and are read again when they change.
type TLS struct {
	CertFile string // this server's certificate chain; it serves for both directions
	KeyFile  string // its private key; empty: in CertFile, too
	CAFile   string // the authorities of the members' certificates
	// AlsoPlain takes connections without TLS, too, DialPlain makes none with TLS. They are for members that change over, one after the other: first
	// both on all, then AlsoPlain alone on all, then neither.
	AlsoPlain, DialPlain bool

	under *peer.TLS
}

// TLSWith is for programs of this module, which have their key material elsewhere. Others fill in a TLS.
func TLSWith(t *peer.TLS) *TLS {
	if t == nil {
		return nil
	}
	return &TLS{under: t}
}

// open reads the files. The source, if there is one, is the caller's to close.
func (t *TLS) open(log *slog.Logger) (*peer.TLS, *certs.Source, error) {
	if t == nil {
		return nil, nil, nil
	}
	if t.under != nil {
		return t.under, nil, nil
	}
	source, err := certs.Open(certs.Options{
		Name:  "members",
		Key:   certs.Store{Setting: "TLS.CertFile", File: t.CertFile, KeyFile: t.KeyFile},
		Trust: certs.Store{Setting: "TLS.CAFile", File: t.CAFile},
		Log:   log, CheckClientName: true,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("replica: %w", err)
	}
	source.Watch()
	return &peer.TLS{Source: source, Dial: !t.DialPlain, AlsoPlain: t.AlsoPlain}, source, nil
}
