package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
)

// TestOperations asks three servers as operators do: ZooKeeper's own client for four-letter words, HTTP for the admin port and Prometheus, the
// log for slow requests.
func TestOperations(t *testing.T) {
	need(t)
	if target() == ensemble.ZooKeeper {
		t.Skip("its admin port wants libraries that are not fetched")
	}
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 3, Args: []string{"--slow-request", "1us"},
		Config: []string{"admin.rateLimiterIntervalInMS=1", "preAllocSize=65536", "no.such.key=1", "admin.commandURL=/zk/commands"}})
	binary, err := ensemble.Binary(e.Target)
	if err != nil {
		t.Fatal(err)
	}
	s := e.Servers[0]
	for _, args := range [][]string{{"create", "/ops", "first"}, {"set", "/ops", "hello"}, {"get", "/ops"}} {
		cmd := exec.Command(binary, append(args, "--server", s.Addr())...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	t.Run("words", func(t *testing.T) { operationsWords(t, e) })
	t.Run("metrics", func(t *testing.T) { operationsMetrics(t, s) })
	t.Run("commands", func(t *testing.T) { operationsCommands(t, s) }) // one of them resets what is counted
	t.Run("log", func(t *testing.T) { operationsLog(t, s) })
	t.Run("top", func(t *testing.T) {
		out, err := exec.Command(binary, "top", "--admin", s.AdminURL(), "--command-url", "/zk/commands").CombinedOutput()
		for _, want := range []string{"127.0.0.1", "/ops", "set_data"} {
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("no %s: %v\n%s", want, err, out)
			}
		}
	})
}

// operationsWords uses ZooKeeper's FourLetterWordMain.
func operationsWords(t *testing.T, e *ensemble.Ensemble) {
	classes, err := ensemble.ClassPath()
	if err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string]string{"mntr": `zk_quorum_size\s3`, "dump": "SessionTracker dump:", "conf": `(?s)initLimit=20.*membership: \nserver\.1=`} {
		s := e.Servers[1]
		out, err := exec.Command("java", "-cp", classes, "org.apache.zookeeper.client.FourLetterWordMain", s.Host, fmt.Sprint(s.ClientPort), word).Output()
		if err != nil || !regexp.MustCompile(want).Match(out) {
			t.Errorf("%s: %v\n%s", word, err, out)
		}
	}
}

// httpGet asks an admin port.
func httpGet(t *testing.T, url, auth string) (*http.Response, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, b
}

func operationsCommands(t *testing.T, s *ensemble.Server) {
	base := s.AdminURL() + "/zk/commands"
	_, index := httpGet(t, base, "")
	names := regexp.MustCompile(`<a href="/zk/commands/(\w+)">`).FindAllStringSubmatch(string(index), -1)
	if len(names) < 28 {
		t.Fatalf("%d commands\n%s", len(names), index)
	}
	for _, n := range names {
		resp, b := httpGet(t, base+"/"+n[1], "")
		var v struct{ Command string }
		if err := json.Unmarshal(b, &v); err != nil || v.Command != n[1] {
			t.Errorf("%s: status %d, %v\n%s", n[1], resp.StatusCode, err, b)
		}
	}
	resp, b := httpGet(t, base+"/snapshot", "digest any:body")
	if resp.StatusCode != 200 || resp.Header.Get("snapshot_size") != fmt.Sprint(len(b)) || len(b) == 0 {
		t.Errorf("snapshot: %d, %v, %d bytes", resp.StatusCode, resp.Header, len(b))
	}
}

func operationsMetrics(t *testing.T, s *ensemble.Server) {
	_, b := httpGet(t, s.AdminURL()+"/metrics", "")
	for _, want := range []string{
		`op_latency_seconds_count{op="set_data"} 1`, `stage_seconds_count{stage="queue"} [1-9]`, `stage_seconds_count{stage="forward"} [1-9]`, `stage_seconds_count{stage="sync"} [1-9]`,
		`stage_seconds_count{stage="commit"} [1-9]`, `stage_seconds_count{stage="apply"} [1-9]`, `stage_seconds_count{stage="reply"} [1-9]`,
		`fsynctime_count [1-9]`, `quorum_size 3`, `updatelatency_count [1-9]`,
	} {
		if !regexp.MustCompile(`(?m)^` + want).Match(b) {
			t.Errorf("no %s", want)
		}
	}
}

// operationsLog waits for the housekeeper to write what it has; the keys were named at the start.
func operationsLog(t *testing.T, s *ensemble.Server) {
	wants := []string{
		`msg="slow request" .*took=\S+ op=set_data path=/ops client=127\.0\.0\.1:\d+ session=0x1\w+ xid=\d+ .*(sync|commit)=`,
		`preAllocSize has no meaning here: `, `no\.such\.key is not a key of ZooKeeper or Gopherwood`,
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		log, err := os.ReadFile(filepath.Join(s.Dir, "log"))
		if err != nil {
			t.Fatal(err)
		}
		missing := ""
		for _, want := range wants {
			if !regexp.MustCompile(want).Match(log) {
				missing = want
			}
		}
		switch {
		case missing == "":
			return
		case time.Now().After(deadline):
			t.Fatalf("no %s in the log\n%s", missing, s.LogTail())
		}
		time.Sleep(100 * time.Millisecond)
	}
}
