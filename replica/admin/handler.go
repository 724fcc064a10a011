package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopherwood/replica"
)

// Options say what a Handler does beside the obvious. The zero value works.
type Options struct {
	// Authorize lets a guarded request pass, or says why not. Default: requests from this machine pass.
	Authorize func(*http.Request) error
	// Timeout bounds the waiting for a transfer, a change of members, or a snapshot. Default: a minute.
	Timeout time.Duration
	// Logger is told of what operators do. Default: slog.Default().
	Logger *slog.Logger
}

// handler is what Handler returns.
type handler struct {
	r *replica.Replica
	o Options
}

// Handler serves the endpoint of r. It is mounted at Prefix.
func Handler(r *replica.Replica, o Options) http.Handler {
	if o.Authorize == nil {
		o.Authorize = local
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	h := &handler{r, o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Prefix+"status", func(w http.ResponseWriter, _ *http.Request) { answer(w, statusOf(h.r)) })
	mux.HandleFunc("GET "+Prefix+"metrics", h.metrics)
	mux.HandleFunc("GET "+Prefix+"log", h.guarded(h.log))
	mux.HandleFunc("GET "+Prefix+"backup", h.guarded(h.backup))
	mux.HandleFunc("POST "+Prefix+"snapshot", h.guarded(h.change(h.snapshot)))
	mux.HandleFunc("POST "+Prefix+"transfer", h.guarded(h.change(h.transfer)))
	mux.HandleFunc("POST "+Prefix+"add", h.guarded(h.change(h.add)))
	mux.HandleFunc("POST "+Prefix+"remove", h.guarded(h.change(h.remove)))
	mux.HandleFunc(Prefix, func(w http.ResponseWriter, req *http.Request) {
		fail(w, &Error{Status: http.StatusNotFound, Text: "there is no " + req.Method + " " + req.URL.Path + "; there are status, metrics, log, backup (GET), snapshot, transfer, add, remove (POST)"})
	})
	return mux
}

// FromHere says whether a request was made on this machine for this machine: its connection comes from a loopback address, it names one (a page in a browser that a
// stranger's name leads here names that), and no proxy says that it has passed it on.
func FromHere(req *http.Request) bool {
	for _, h := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "Via"} {
		if req.Header.Get(h) != "" {
			return false
		}
	}
	name := req.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	from, _, err := net.SplitHostPort(req.RemoteAddr)
	return err == nil && isLoopback(from) && (name == "localhost" || isLoopback(strings.Trim(name, "[]")))
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// local lets those pass who ask from this machine.
func local(req *http.Request) error {
	if !FromHere(req) {
		return errors.New("only requests from this machine are obeyed here; ask from there, or have the service authorize others")
	}
	return nil
}

// guarded is a request that has to be authorized.
func (h *handler) guarded(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get(Header) == "" {
			fail(w, &Error{Status: http.StatusForbidden, Text: "the header " + Header + " is missing"})
			return
		}
		if err := h.o.Authorize(req); err != nil {
			fail(w, &Error{Status: http.StatusForbidden, Text: err.Error()})
			return
		}
		serve(w, req)
	}
}

// change is a request that does something, and answers with the status after it.
func (h *handler) change(do func(ctx context.Context, req *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithTimeout(req.Context(), h.o.Timeout)
		defer cancel()
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.o.Timeout + time.Second)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			h.o.Logger.Debug("an answer's deadline", "error", err)
		}
		err := do(ctx, req)
		h.o.Logger.Info("an operator has asked for something", "what", req.URL.RequestURI(), "client", req.RemoteAddr, "error", err)
		if err != nil {
			fail(w, explain(err))
			return
		}
		answer(w, statusOf(h.r))
	}
}

func (h *handler) snapshot(ctx context.Context, _ *http.Request) error { return h.r.Snapshot(ctx) }

func (h *handler) transfer(ctx context.Context, req *http.Request) error {
	id, err := server(req, "to", true)
	if err != nil {
		return err
	}
	return h.r.TransferLeadershipTo(ctx, id)
}

func (h *handler) add(ctx context.Context, req *http.Request) error {
	id, err := server(req, "id", false)
	if err != nil {
		return err
	}
	observer, err := strconv.ParseBool(orFalse(req.URL.Query().Get("observer")))
	if err != nil {
		return badf("observer must be true or false")
	}
	return h.r.ChangeMembers(ctx, func(present []replica.Member) ([]replica.Member, error) {
		return append(without(present, id), replica.Member{ServerID: id, Observer: observer}), nil
	})
}

// without is the members but for one.
func without(members []replica.Member, id uint16) []replica.Member {
	return slices.DeleteFunc(members, func(m replica.Member) bool { return m.ServerID == id })
}

func orFalse(s string) string {
	if s == "" {
		return "false"
	}
	return s
}

func (h *handler) remove(ctx context.Context, req *http.Request) error {
	id, err := server(req, "id", false)
	if err != nil {
		return err
	}
	return h.r.ChangeMembers(ctx, func(present []replica.Member) ([]replica.Member, error) {
		rest := without(slices.Clone(present), id)
		if len(rest) == len(present) {
			return nil, badf("server %d is no member; nothing is changed", id)
		}
		return rest, nil
	})
}

func (h *handler) log(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	from, err := strconv.ParseUint("0"+q.Get("from"), 10, 64)
	n := defaultEntries
	if q.Has("n") && err == nil {
		n, err = strconv.Atoi(q.Get("n"))
	}
	if err != nil || n < 1 || n > replica.MaxLogEntries {
		fail(w, badf("from must be an index, and n from 1 to %d", replica.MaxLogEntries))
		return
	}
	part, err := h.r.Log(req.Context(), from, n)
	if err != nil {
		fail(w, explain(err))
		return
	}
	answer(w, part)
}

func (h *handler) backup(w http.ResponseWriter, req *http.Request) {
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) { // as long as its reader takes
		h.o.Logger.Debug("a backup's deadline", "error", err)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	body := &started{w: w}
	info, err := h.r.Backup(req.Context(), body)
	h.o.Logger.Info("a backup was asked for", "client", req.RemoteAddr, "index", info.Index, "error", err)
	switch {
	case err != nil && !body.began:
		w.Header().Set("Content-Type", "application/json")
		fail(w, explain(err))
	case err != nil:
		panic(http.ErrAbortHandler) // so that what was sent can't be taken for the whole
	}
}

// started notes whether anything was written.
type started struct {
	w     io.Writer
	began bool
}

func (s *started) Write(b []byte) (int, error) {
	s.began = true
	return s.w.Write(b)
}

// server reads a server's number.
func server(req *http.Request, key string, optional bool) (uint16, error) {
	text := req.URL.Query().Get(key)
	if text == "" && optional {
		return 0, nil
	}
	id, err := strconv.ParseUint(text, 10, 16)
	if err != nil || id == 0 {
		return 0, badf("%s must be a server's number, 1 to 65535", key)
	}
	return uint16(id), nil
}

func badf(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Text: fmt.Sprintf(format, args...)}
}

// explain gives an error its status.
func explain(err error) *Error {
	e := &Error{Status: http.StatusServiceUnavailable, Text: err.Error()}
	var own *Error
	var hint *replica.NotLeaderError
	var absent *replica.NotSyncedError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &hint):
		e.Status, e.Leader = http.StatusMisdirectedRequest, hint.Leader.ServerID
	case errors.As(err, &absent), errors.Is(err, replica.ErrReconfigInProgress), errors.Is(err, replica.ErrNoVoters), errors.Is(err, replica.ErrTwice):
		e.Status = http.StatusConflict
	}
	return e
}

func fail(w http.ResponseWriter, e *Error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(e) // the client may have gone
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

func hex(v uint64) string { return strconv.FormatUint(v, 16) }
