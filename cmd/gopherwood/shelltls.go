package main

import (
	"cmp"
	"crypto/tls"
	"log/slog"
	"os"

	"github.com/spf13/pflag"

	"gopherwood/internal/certs"
)

// Variables that stand for the shell's flags of TLS.
const (
	tlsCAVariable   = "GOPHERWOOD_TLS_CA"
	tlsCertVariable = "GOPHERWOOD_TLS_CERT"
	tlsKeyVariable  = "GOPHERWOOD_TLS_KEY"
)

// shellTLS is how the shell connects with TLS.
type shellTLS struct {
	on         bool
	files      pemFiles
	serverName string
}

func (t *shellTLS) flags(f *pflag.FlagSet) {
	f.BoolVar(&t.on, "tls", false, "connect with TLS, and trust the authorities that this machine trusts")
	f.StringVar(&t.files.ca, "tls-ca", "", "connect with TLS, and trust the authorities in this file: PEM, PKCS #12 or JKS; default from "+tlsCAVariable)
	f.StringVar(&t.files.cert, "tls-cert", "", "connect with TLS, and show the certificate in this file; default from "+tlsCertVariable)
	f.StringVar(&t.files.key, "tls-key", "", "its private key in PEM (default: "+tlsKeyVariable+", or in --tls-cert)")
	f.StringVar(&t.serverName, "tls-server-name", "", "what the servers' certificates name (default: the host in --server)")
}

// config is the configuration for connections; nil: they are plain.
func (t *shellTLS) config() (*tls.Config, error) {
	ca, cert := cmp.Or(t.files.ca, os.Getenv(tlsCAVariable)), cmp.Or(t.files.cert, os.Getenv(tlsCertVariable))
	key := cmp.Or(t.files.key, os.Getenv(tlsKeyVariable))
	if !t.on && ca == "" && cert == "" {
		if t.files.key != "" || t.serverName != "" {
			return nil, usagef("--tls-key and --tls-server-name are of no use without TLS; give --tls, --tls-ca or --tls-cert")
		}
		return nil, nil
	}
	source, err := certs.Open(certs.Options{
		DialOnly: true, Key: certs.Store{Setting: "--tls-cert", File: cert, KeyFile: key, Password: os.Getenv(passwordVariable)},
		Trust: certs.Store{Setting: "--tls-ca", File: ca, Password: os.Getenv(passwordVariable)}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, usageError{err}
	}
	config := source.ClientConfig()
	config.ServerName = t.serverName
	return config, nil
}
