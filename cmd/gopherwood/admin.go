package main

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/spf13/pflag"

	"gopherwood/internal/certs"
	"gopherwood/internal/server"
)

// adminTimeout bounds a request to the admin port; profiles take long.
const adminTimeout = 2 * time.Minute

// adminIdle is how long a connection to the admin port may be idle (admin.idleTimeout).
const adminIdle = 30 * time.Second

// strictTransport tells browsers to come back with TLS for a day (JettyAdminServer.DEFAULT_STS_MAX_AGE).
const strictTransport = "max-age=86400; includeSubDomains"

// adminFlags is what serve was told of TLS on the admin port by flags. For what they do not say there is the file.
type adminFlags struct {
	files pemFiles
	mixed bool
}

func (a *adminFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&a.files.cert, "admin-tls-cert", "", "certificate of the admin port, with its chain: PEM, PKCS #12 or JKS; makes it HTTPS")
	f.StringVar(&a.files.key, "admin-tls-key", "", "its private key in PEM (default: in --admin-tls-cert)")
	f.StringVar(&a.files.ca, "admin-tls-ca", "", "authorities (CA) of certificates that those who come to the admin port have to show")
	f.BoolVar(&a.mixed, "admin-tls-also-plain", false, "take HTTP on the admin port, too; the first byte of a connection tells")
}

// adminMaterial is TLS for the admin port. Nil: there is none. Without flags it is the members' material, as in ZooKeeper.
func (s *settings) adminMaterial(log *slog.Logger) (*certs.Source, error) {
	f, flags := &s.file.Secure, &s.admin
	if !f.AdminTLS && !f.AdminUnified && flags.files.cert == "" {
		switch {
		case *flags != adminFlags{}:
			return nil, usagef("--admin-tls-key, --admin-tls-ca and --admin-tls-also-plain are of no use without --admin-tls-cert")
		case f.AdminClientAuth:
			return nil, usagef("admin.needClientAuth=true is of no use without TLS on the admin port; set admin.forceHttps=true, too")
		}
		return nil, nil
	}
	o := flags.files.material(f.QuorumTLS, "ssl.quorum.", "--admin-tls-")
	o.Name, o.Log, o.CheckClientName = "the admin port", log, false
	o.ClientAuth, o.ClientAuthSetting = certs.ClientAuthNone, "admin.needClientAuth"
	if f.AdminClientAuth || flags.files.ca != "" {
		o.ClientAuth = certs.ClientAuthNeed
	}
	return openMaterial(o)
}

// adminMixed says whether an admin port with TLS takes HTTP, too. admin.forceHttps wins over admin.portUnification.
func (s *settings) adminMixed() bool {
	if s.admin.files.cert != "" {
		return s.admin.mixed
	}
	return !s.file.Secure.AdminTLS
}

// adminPorts are the HTTP servers for people and monitors.
type adminPorts struct {
	mux       *http.ServeMux
	http      *http.Server
	metrics   *http.Server // for metricsProvider.httpPort: has nothing else, because it is plain and asks nobody who they are
	listeners []adminListener
	source    *certs.Source // nil: no TLS
}

func (a *adminPorts) close() {
	for _, h := range []*http.Server{a.http, a.metrics} {
		if err := h.Close(); err != nil {
			slog.Debug("closing the admin port", "error", err)
		}
	}
	for _, l := range a.listeners { // those that were not served yet
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			slog.Debug("closing the admin port", "error", err)
		}
	}
	if a.source != nil {
		a.source.Close()
	}
}

// openAdmin serves the admin port, and ZooKeeper's port for Prometheus, always without TLS, if the file has one.
func (s *settings) openAdmin(srv *server.Server, log *slog.Logger) (*adminPorts, error) {
	mux := http.NewServeMux()
	mux.Handle("/", srv.AdminHandler())
	if s.pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	a := &adminPorts{mux: mux, http: &http.Server{
		Handler: knowTLS(mux), ConnContext: rememberConn,
		ReadTimeout: adminTimeout, WriteTimeout: adminTimeout, IdleTimeout: cmp.Or(time.Duration(s.file.AdminIdleMs)*time.Millisecond, adminIdle), MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
	plain := http.NewServeMux()
	plain.Handle("GET /metrics", srv.AdminHandler())
	a.metrics = &http.Server{Handler: plain, ReadTimeout: adminTimeout, WriteTimeout: adminTimeout, IdleTimeout: a.http.IdleTimeout, MaxHeaderBytes: a.http.MaxHeaderBytes, ErrorLog: a.http.ErrorLog}
	if err := s.listenAdmin(a, log); err != nil {
		a.close()
		return nil, err
	}
	for _, l := range a.listeners {
		h := a.http
		if l.metrics {
			h = a.metrics
		}
		go func() {
			if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				log.Error("the admin port has failed", "error", err)
			}
		}()
	}
	return a, nil
}

// listenAdmin takes the ports.
func (s *settings) listenAdmin(a *adminPorts, log *slog.Logger) (err error) {
	if a.source, err = s.adminMaterial(log); err != nil {
		return err
	}
	if s.adminPort != 0 {
		l, err := listen("admin-port", "admin.serverPort", s.adminHost, s.adminPort)
		switch {
		case err == nil:
			a.listeners = append(a.listeners, adminListener{Listener: l, scheme: "http"})
			if a.source != nil {
				a.listeners[0] = adminListener{Listener: l, scheme: "https", config: a.source.ServerConfig(), mixed: s.adminMixed()}
			}
		case s.adminGiven:
			return err
		default:
			log.Warn("there is no admin port: "+err.Error(), "port", s.adminPort)
		}
	}
	if f := s.file; f.MetricsPort != 0 && f.MetricsPort != s.adminPort {
		l, err := listen("config", "metricsProvider.httpPort", f.MetricsAddress, f.MetricsPort)
		if err != nil {
			return err
		}
		a.listeners = append(a.listeners, adminListener{Listener: l, scheme: "http", metrics: true})
	}
	return nil
}
