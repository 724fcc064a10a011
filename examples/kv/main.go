// Command kv is a replicated key-value store with an HTTP face, as an example of package replica: the whole service in one file.
//
//	kv --id 1 --dir /tmp/kv1 --http :8001 --peers 1=:7001,2=:7002,3=:7003        and 2 and 3 likewise
//	curl -X PUT -d blue localhost:8001/keys/sky
//	curl localhost:8002/keys/sky                       linearizable; with ?stale=1 what this server knows
//	curl -X DELETE localhost:8003/keys/sky
//	gopherwood cluster members --admin localhost:8001
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"gopherwood/replica"
	"gopherwood/replica/admin"
)

// store is the state machine: a map, and commands that set and delete.
type store struct {
	mu   sync.RWMutex
	keys map[string]string
}

// command is what is replicated; a nil value deletes.
type command struct {
	Key   string
	Value *string
}

// Apply implements replica.StateMachine. The result says whether the key was there.
func (s *store) Apply(c replica.Command) any {
	var cmd command
	if err := json.Unmarshal(c.Data, &cmd); err != nil {
		return err // the same on every member
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, was := s.keys[cmd.Key]
	if cmd.Value == nil {
		delete(s.keys, cmd.Key)
	} else {
		s.keys[cmd.Key] = *cmd.Value
	}
	return was
}

// View implements replica.StateMachine. A store that is larger would copy on write.
func (s *store) View() (replica.View, error) { return view(maps.Clone(s.keys)), nil }

// Restore implements replica.StateMachine.
func (s *store) Restore(r io.Reader) error {
	keys := make(map[string]string)
	if err := json.NewDecoder(r).Decode(&keys); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
	return nil
}

type view map[string]string

// WriteTo writes the keys in order (encoding/json sorts them): the same bytes for the same state.
func (v view) WriteTo(w io.Writer) (int64, error) {
	b, err := json.Marshal(map[string]string(v))
	if err != nil {
		return 0, err
	}
	n, err := w.Write(b)
	return int64(n), err
}

func (view) Close() {}

// service is the HTTP face.
type service struct {
	r *replica.Replica
	s *store
}

func (v *service) get(w http.ResponseWriter, req *http.Request) {
	if req.URL.Query().Get("stale") == "" {
		if err := v.r.Sync(req.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	v.s.mu.RLock()
	value, ok := v.s.keys[req.PathValue("key")]
	v.s.mu.RUnlock()
	if !ok {
		http.NotFound(w, req)
		return
	}
	_, _ = io.WriteString(w, value) // the client may have gone
}

// change replicates a command and answers with its result.
func (v *service) change(w http.ResponseWriter, req *http.Request, c command) {
	data, err := json.Marshal(c)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(req.Context(), 10*time.Second)
	defer cancel()
	was, err := v.r.Do(ctx, data)
	switch {
	case errors.Is(err, replica.ErrTooLarge):
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
	case errors.Is(err, replica.ErrOutcomeUnknown): // it may be applied: this change may be asked for again, others may not
		http.Error(w, err.Error(), http.StatusGatewayTimeout)
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case was == true:
		w.WriteHeader(http.StatusOK)
	case c.Value == nil:
		http.NotFound(w, req)
	default:
		w.WriteHeader(http.StatusCreated)
	}
}

func (v *service) put(w http.ResponseWriter, req *http.Request) {
	b, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	value := string(b)
	v.change(w, req, command{req.PathValue("key"), &value})
}

func (v *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys/{key...}", v.get)
	mux.HandleFunc("PUT /keys/{key...}", v.put)
	mux.HandleFunc("DELETE /keys/{key...}", func(w http.ResponseWriter, req *http.Request) { v.change(w, req, command{Key: req.PathValue("key")}) })
	mux.Handle(admin.Prefix, admin.Handler(v.r, admin.Options{}))
	return mux
}

func main() {
	id := flag.Uint("id", 1, "this server's number")
	dir := flag.String("dir", "kv-data", "data directory")
	addr := flag.String("http", ":8001", "where to serve clients")
	list := flag.String("peers", "", "all servers, as 1=host:7001,2=host:7001; empty: this one alone")
	flag.Parse()
	peers, err := replica.ParsePeers(*list)
	if err != nil {
		log.Fatal("kv: ", err)
	}
	s := &store{keys: make(map[string]string)}
	r, err := replica.Start(replica.Config{Dir: *dir, ServerID: uint16(*id), Peers: peers}, s)
	if err != nil {
		log.Fatal("kv: ", err)
	}
	v := &service{r, s}
	go func() { log.Fatal("kv: ", http.ListenAndServe(*addr, v.handler())) }()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	select {
	case <-ctx.Done():
	case <-r.Done():
		log.Fatal("kv: ", r.Err())
	}
	bounded, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := r.Shutdown(bounded); err != nil {
		log.Fatal("kv: ", err)
	}
}
