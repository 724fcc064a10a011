package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"gopherwood/examples/fsmaster/core"
	"gopherwood/examples/fsmaster/fsclient"
	"gopherwood/examples/fsmaster/zkha"
	"gopherwood/replica"
)

// The face, the same in both ways:
//
//	POST /v1/op        a core.Op as JSON; the answer is a core.Result
//	GET  /v1/stat?path=P
//	GET  /v1/list?path=P&after=NAME&limit=N
//	GET  /v1/workers   /v1/mounts   /v1/status
//
// Errors are {"error": "…"} with 400, 404 or 409; 421, with "leader", from a standby; 503 when nothing was done; 504 when the outcome is unknown.

const (
	maxBody      = 4 << 20
	defaultLimit = 1000
	maxLimit     = 10_000
)

// face serves clients.
type face struct {
	ha    string
	m     master
	phase func() string // of the start; nil: there is none
}

func newFace(ha string, m master) *face { return &face{ha: ha, m: m} }

func (f *face) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/op", f.op)
	mux.HandleFunc("GET /v1/status", f.status)
	f.read(mux, "stat", func(fs *core.FS, r *http.Request) (any, error) { return fs.Stat(r.FormValue("path")) })
	f.read(mux, "list", func(fs *core.FS, r *http.Request) (any, error) {
		limit := defaultLimit
		if text := r.FormValue("limit"); text != "" {
			var err error
			if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxLimit {
				return nil, &core.Error{Code: core.Invalid, Detail: fmt.Sprintf("limit must be from 1 to %d", maxLimit)}
			}
		}
		return fs.List(r.FormValue("path"), r.FormValue("after"), limit)
	})
	f.read(mux, "workers", func(fs *core.FS, _ *http.Request) (any, error) { return fs.Workers(), nil })
	f.read(mux, "mounts", func(fs *core.FS, _ *http.Request) (any, error) { return fs.Mounts(), nil })
	return mux
}

// read serves something that changes nothing.
func (f *face) read(mux *http.ServeMux, name string, read func(*core.FS, *http.Request) (any, error)) {
	mux.HandleFunc("GET /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		var v any
		var bad error
		if err := f.m.Read(r.Context(), func(fs *core.FS) { v, bad = read(fs, r) }); err != nil {
			bad = err
		}
		if bad != nil {
			refuse(w, bad)
			return
		}
		answer(w, v)
	})
}

func (f *face) op(w http.ResponseWriter, r *http.Request) {
	var op core.Op
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&op); err != nil {
		refuse(w, &core.Error{Code: core.Invalid, Detail: err.Error()})
		return
	}
	result, err := f.m.Do(r.Context(), op)
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, result)
}

func (f *face) status(w http.ResponseWriter, _ *http.Request) {
	s := fsclient.Status{HA: f.ha}
	s.Term, s.Active = f.m.Term()
	f.m.Peek(func(fs *core.FS) {
		s.Inodes, s.Digest = fs.Len(), strconv.FormatUint(fs.Digest(), 16)
	})
	s.Ready = s.Active
	if f.phase != nil {
		s.Phase = f.phase()
		s.Ready = s.Phase == replica.Running.String()
	}
	answer(w, &s)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

// refuse says what is wrong, and what that means for the operation.
func refuse(w http.ResponseWriter, err error) {
	r := fsclient.Refusal{Status: http.StatusServiceUnavailable, Text: err.Error()}
	var bad *core.Error
	var standby *zkha.NotActiveError
	switch {
	case errors.As(err, &bad):
		r.Status = http.StatusBadRequest
		switch bad.Code {
		case core.NoEnt, core.NoWorker:
			r.Status = http.StatusNotFound
		case core.Exists, core.NotEmpty, core.Busy, core.Importing, core.Gap, core.Stale:
			r.Status = http.StatusConflict
		}
	case errors.As(err, &standby):
		r.Status, r.Leader = http.StatusMisdirectedRequest, standby.Leader
	case errors.Is(err, zkha.ErrOutcomeUnknown), errors.Is(err, replica.ErrOutcomeUnknown), errors.Is(err, replica.ErrClosed):
		r.Status = http.StatusGatewayTimeout
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.Status)
	_ = json.NewEncoder(w).Encode(&r) // the client may have gone
}
