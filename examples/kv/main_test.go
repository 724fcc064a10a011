package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gopherwood/replica"
	"gopherwood/replica/replicatest"
)

func newService(t *testing.T, dir string) *service {
	t.Helper()
	s := &store{keys: make(map[string]string)}
	r, err := replica.Start(replica.Config{Dir: dir, ServerID: 1, Tick: 5 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return &service{r, s}
}

func TestKeysOverHTTP(t *testing.T) {
	dir := t.TempDir()
	v := newService(t, dir)
	steps := []struct {
		method, path, body string
		status             int
		answer             string
	}{
		{"GET", "/keys/a", "", 404, "404 page not found\n"},
		{"PUT", "/keys/a", "blue", 201, ""},
		{"PUT", "/keys/a", "grey", 200, ""},
		{"GET", "/keys/a", "", 200, "grey"},
		{"GET", "/keys/a?stale=1", "", 200, "grey"},
		{"PUT", "/keys/b/c", "", 201, ""},
		{"GET", "/keys/b/c", "", 200, ""},
		{"DELETE", "/keys/b/c", "", 200, ""},
		{"DELETE", "/keys/b/c", "", 404, "404 page not found\n"},
		{"PUT", "/keys/big", strings.Repeat("x", 2<<20), 413, "http: request body too large\n"},
	}
	do := func(v *service, method, path, body string) (int, string) {
		t.Helper()
		w := httptest.NewRecorder()
		v.handler().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		b, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, string(b)
	}
	for _, s := range steps {
		if status, answer := do(v, s.method, s.path, s.body); status != s.status || answer != s.answer {
			t.Errorf("%s %s: %d %q, want %d %q", s.method, s.path, status, answer, s.status, s.answer)
		}
	}
	if err := v.r.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.r.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _ := do(v, "PUT", "/keys/a", "late"); status != http.StatusServiceUnavailable {
		t.Errorf("a change after the end: %d", status)
	}
	if status, answer := do(newService(t, dir), "GET", "/keys/a", ""); status != 200 || answer != "grey" {
		t.Errorf("after a start: %d %q", status, answer)
	}
}

func TestEqualStatesHaveEqualBytes(t *testing.T) {
	var pictures [2]bytes.Buffer
	for i, keys := range []map[string]string{{"a": "1", "b": "2"}, {"b": "2", "a": "1"}} {
		if _, err := view(keys).WriteTo(&pictures[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(pictures[0].Bytes(), pictures[1].Bytes()) {
		t.Errorf("%s and %s", &pictures[0], &pictures[1])
	}
}

func TestConforms(t *testing.T) {
	replicatest.Test(t, replicatest.Kit{
		New: func() replica.StateMachine { return &store{keys: make(map[string]string)} },
		Command: func(r *rand.Rand) []byte {
			c := command{Key: fmt.Sprint("key", r.IntN(50))}
			if value := fmt.Sprint(r.IntN(1000)); r.IntN(3) > 0 {
				c.Value = &value
			}
			b, err := json.Marshal(c)
			if err != nil || r.IntN(100) == 0 {
				return []byte("nonsense")
			}
			return b
		},
		Seeds: 5,
	})
}
