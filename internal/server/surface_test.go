package server

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// The names of everything that ZooKeeper 3.9.5 answers to words and admin commands are in testdata/zookeeper-3.9.5/ROLE.names, recorded from
// running servers on which clients had two sessions, an ephemeral node and watches:
//
//	go test ./internal/server -run TestRecordSurface -surface.record leader,127.0.0.1:2181,http://127.0.0.1:8080
var recordSurface = flag.String("surface.record", "", "role,client address,admin URL of a running ZooKeeper whose names are written to testdata")

// surface is where words and commands are asked.
type surface struct {
	word    func(word string) (string, error)
	command func(name string) (string, error)
}

var surfaceWords = []string{"conf", "cons", "crst", "dirs", "dump", "envi", "ruok", "srst", "srvr", "stat", "wchc", "wchp", "wchs", "mntr", "isro", "hash", "gtmk", "stmk"}

var surfaceCommands = []string{"configuration", "connection_stat_reset", "connections", "dirs", "dump", "environment", "get_trace_mask", "hash",
	"initial_configuration", "is_read_only", "last_snapshot", "leader", "monitor", "observer_connection_stat_reset", "observers", "restore", "ruok",
	"server_stats", "set_trace_mask", "snapshot", "stat_reset", "stats", "system_properties", "voting_view", "watch_summary", "watches",
	"watches_by_path", "zabstate"}

// names is every name of the surface, sorted: "word conf clientPort", "command dirs datadir_size number".
func (s *surface) names() ([]string, error) {
	set := map[string]bool{}
	for _, w := range surfaceWords {
		text, err := s.word(w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w, err)
		}
		for _, n := range wordNames(w, text) {
			set["word "+w+" "+n] = true
		}
	}
	for _, c := range surfaceCommands {
		if c == "restore" { // not by GET
			continue
		}
		text, err := s.command(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c, err)
		}
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", c, err, text)
		}
		jsonNames(v, "command "+c+" ", set)
	}
	all := make([]string, 0, len(set))
	for n := range set {
		all = append(all, n)
	}
	sort.Strings(all)
	return all, nil
}

var (
	dates   = regexp.MustCompile(`[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [A-Z]{3,4} \d{4}`)
	hexes   = regexp.MustCompile(`0x[0-9a-f]+`)
	addrs   = regexp.MustCompile(`/127\.0\.0\.1:\d+`)
	numbers = regexp.MustCompile(`-?\d+(\.\d+)?`)
	fields  = regexp.MustCompile(`[(,]([a-z]+)=`)
)

// wordNames is what stays the same of a word's lines: the keys, or the line without its values.
func wordNames(word, text string) (names []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch word {
		case "conf", "envi":
			line, _, _ = strings.Cut(line, "=")
		case "mntr":
			line, _, _ = strings.Cut(line, "\t")
		case "srvr", "stat", "cons":
			if m := fields.FindAllStringSubmatch(line, -1); m != nil {
				for _, f := range m {
					names = append(names, "("+f[1])
				}
				continue
			}
			line, _, _ = strings.Cut(line, ":")
		default:
			for _, r := range []struct {
				re *regexp.Regexp
				by string
			}{{dates, "DATE"}, {hexes, "HEX"}, {addrs, "/ADDR"}} {
				line = r.re.ReplaceAllString(line, r.by)
			}
			if !strings.HasPrefix(strings.TrimSpace(line), "/") {
				line = numbers.ReplaceAllString(line, "N")
			}
		}
		if line != "" {
			names = append(names, line)
		}
	}
	return names
}

// jsonNames adds every path to a value with the value's type. The keys of maps that are ids or paths become *.
func jsonNames(v any, at string, set map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, sub := range v {
			if numbers.FindString(k) == k || strings.HasPrefix(k, "/") {
				k = "*"
			}
			jsonNames(sub, at+"."+k, set)
		}
	case []any:
		set[at+" list"] = true
		for _, sub := range v {
			jsonNames(sub, at+"[]", set)
		}
	case string:
		set[at+" string"] = true
	case float64:
		set[at+" number"] = true
	case bool:
		set[at+" bool"] = true
	case nil:
		set[at+" null"] = true
	}
}

func TestRecordSurface(t *testing.T) {
	if *recordSurface == "" {
		t.Skip("nothing to record")
	}
	parts := strings.Split(*recordSurface, ",")
	s := surface{
		word: func(w string) (string, error) {
			c, err := net.Dial("tcp", parts[1])
			if err != nil {
				return "", err
			}
			defer c.Close()
			if _, err := io.WriteString(c, w); err != nil {
				return "", err
			}
			b, err := io.ReadAll(c)
			return string(b), err
		},
		command: func(name string) (string, error) {
			r, err := http.Get(parts[2] + "/commands/" + name)
			http.DefaultClient.CloseIdleConnections()
			if err != nil {
				return "", err
			}
			defer r.Body.Close()
			b, err := io.ReadAll(r.Body)
			return string(b), err
		},
	}
	names, err := s.names()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("testdata/zookeeper-3.9.5/"+parts[0]+".names", []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// surfaceOf asks members[i].
func (e *ensemble) surfaceOf(i int) *surface {
	h := e.members[i].server.AdminHandler()
	return &surface{
		word: func(w string) (string, error) { return e.word(i, w), nil },
		command: func(name string) (string, error) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/commands/"+name, nil))
			return w.Body.String(), nil
		},
	}
}

// TestSurface: every name that ZooKeeper answers is here too, or is listed in testdata/zookeeper-3.9.5/missing with a reason; and what is
// here and not there is listed in testdata/zookeeper-3.9.5/added.
func TestSurface(t *testing.T) {
	missing, added := patterns(t, "missing"), patterns(t, "added")
	for _, tc := range []struct {
		role    string
		servers int
		member  int
	}{{"standalone", 1, 0}, {"leader", 3, 0}, {"follower", 3, 1}} {
		t.Run(tc.role, func(t *testing.T) {
			e := newEnsemble(t, tc.servers, func(c *Config) {
				c.FourLetterWords, c.ClientAddr = []string{"*"}, fmt.Sprintf("127.0.0.1:%d", 2180+c.ID)
				c.ConfigText = map[bool]string{true: "dataDir=/data\n"}[tc.servers == 1]
			})
			for _, m := range e.members {
				m.server.Housekeep(0)
			}
			e.quiet()
			e.tick(600)
			a, b := e.client(tc.member), e.client(tc.member)
			a.create("/t", "", 0)
			a.create("/t/a1", "x", 0)
			a.create("/t/e", "x", zk.ModeEphemeral)
			a.must(zk.OpGetData, &wire.GetDataRequest{Path: "/t/a1", Watch: true})
			b.call(zk.OpExists, &wire.ExistsRequest{Path: "/none", Watch: true})
			e.quiet()
			got, err := e.surfaceOf(tc.member).names()
			if err != nil {
				t.Fatal(err)
			}
			want := readLines(t, "testdata/zookeeper-3.9.5/"+tc.role+".names")
			for _, n := range want {
				if !slices.Contains(got, n) && !matches(missing, n) {
					t.Errorf("ZooKeeper has, and this server lacks: %s", n)
				}
			}
			for _, n := range got {
				if !slices.Contains(want, n) && !matches(added, n) {
					t.Errorf("ZooKeeper lacks: %s", n)
				}
			}
		})
	}
}

func readLines(t *testing.T, file string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\n"); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// patterns reads regular expressions, one a line, which match whole names.
func patterns(t *testing.T, name string) (all []*regexp.Regexp) {
	t.Helper()
	for _, line := range readLines(t, "testdata/zookeeper-3.9.5/"+name) {
		all = append(all, regexp.MustCompile("^(?:"+line+")$"))
	}
	return all
}

func matches(all []*regexp.Regexp, name string) bool {
	return slices.ContainsFunc(all, func(re *regexp.Regexp) bool { return re.MatchString(name) })
}
