package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"gopherwood/internal/server"
)

// resolveArgs is the settings that a command line makes.
func resolveArgs(t *testing.T, args ...string) (*settings, error) {
	t.Helper()
	var s settings
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	s.flags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &s, s.resolve()
}

// zooCfg writes a zoo.cfg and, unless it is empty, a myid file.
func zooCfg(t *testing.T, text, myid string) (file string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("zoo.cfg", "dataDir="+dir+"\n"+text)
	if myid != "" {
		write("myid", myid)
	}
	return filepath.Join(dir, "zoo.cfg")
}

const three = "1=a:2888,2=b:2888;2182,3=c:2888;cc:2183"

func TestSettings(t *testing.T) {
	members := []server.Member{
		{ID: 1, PeerAddr: "a:2888"}, {ID: 2, PeerAddr: "b:2888", ClientAddr: "b:2182"}, {ID: 3, PeerAddr: "c:2888", ClientAddr: "cc:2183"}}
	fileMembers := []server.Member{
		{ID: 1, PeerAddr: "a:2888", ElectPort: "3888"}, {ID: 2, PeerAddr: "b:2888", ElectPort: "3888", ClientAddr: "b:2182"}}
	file := zooCfg(t, "server.1=a:2888:3888\nserver.2=b:2888:3888;2182\nclientPort=2200\ntickTime=100\nadmin.serverPort=9000\nmaxClientCnxns=7", "1")
	noClientPort := zooCfg(t, "server.1=a:2888:3888\nserver.2=b:2888:3888;2182\nadmin.enableServer=false", "")
	for _, tc := range []struct {
		name    string
		args    []string
		id      uint64
		members []server.Member
		client  int
		admin   int
		addr    string // that clients are told
		min     int32
		max     int32
		perIP   int
	}{
		{"nothing", nil, 1, nil, 2181, 8080, ":2181", 4000, 40000, 0},
		{"peers", []string{"--id", "1", "--peers", three}, 1, members, 2181, 8080, "a:2181", 4000, 40000, 0},
		{"peers with a client port", []string{"--id", "2", "--peers", three, "--client-port", "2182"}, 2, members, 2182, 8080, "b:2182", 4000, 40000, 0},
		{"advertised", []string{"--id", "1", "--peers", three, "--advertise", "x:1"}, 1, members, 2181, 8080, "x:1", 4000, 40000, 0},
		{"an interface", []string{"--id", "1", "--peers", three, "--client-address", "10.0.0.1"}, 1, members, 2181, 8080, "10.0.0.1:2181", 4000, 40000, 0},
		{"every interface", []string{"--id", "1", "--peers", three, "--client-address", "::"}, 1, members, 2181, 8080, "a:2181", 4000, 40000, 0},
		{"timeouts", []string{"--tick-ms", "500", "--min-session-timeout-ms", "15000"}, 1, nil, 2181, 8080, ":2181", 15000, 15000, 0},
		{"a short longest timeout", []string{"--max-session-timeout-ms", "3000"}, 1, nil, 2181, 8080, ":2181", 3000, 3000, 0},
		{"a file", []string{"--config", file}, 1, fileMembers, 2200, 9000, "a:2200", 200, 2000, 7},
		{"a file and flags", []string{"--config", file, "--id", "2", "--client-port", "1", "--admin-port", "0", "--tick-ms", "1000", "--max-client-cnxns", "0"},
			2, fileMembers, 1, 0, "b:2182", 2000, 20000, 0},
		{"the port of the server line, no admin", []string{"--config", noClientPort, "--id", "2"}, 2, fileMembers, 2182, 0, "b:2182", 4000, 40000, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := resolveArgs(t, tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.members, s.members); diff != "" {
				t.Error(diff)
			}
			got := []any{s.id, s.clientPort, s.adminPort, s.clientAddr(s.clientPort), s.minSession(), s.maxSession(), s.perIP}
			want := []any{tc.id, tc.client, tc.admin, tc.addr, tc.min, tc.max, tc.perIP}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWrongSettings: each is one sentence that names what is wrong and the fix, and exit code 2.
func TestWrongSettings(t *testing.T) {
	zkDir := t.TempDir()
	if err := os.Mkdir(filepath.Join(zkDir, "version-2"), 0o755); err != nil {
		t.Fatal(err)
	}
	noID := zooCfg(t, "server.1=a:2888:3888\nserver.2=b:2888:3888", "")
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--peers", three}, "--peers needs --id as well: which of 1, 2, 3 is this server"},
		{[]string{"--peers", three, "--id", "9"}, "this server's number 9 is not among the servers 1, 2, 3; correct --id (or myid) or add the server"},
		{[]string{"--id", "256"}, "--id 256: a server's number is from 1 to 255"},
		{[]string{"--id", "1", "--peers", "a:2888"}, `--peers: "a:2888" is not number=host:port with a number from 1 to 255`},
		{[]string{"--id", "1", "--peers", "1=a:x"}, `--peers: "1=a:x" has no host:port for server 1`},
		{[]string{"--id", "1", "--peers", "1=a:1,1=b:1"}, "--peers: server 1 is there twice"},
		{[]string{"--id", "1", "--peers", "1=a:1,2=a:1"}, "--peers: servers 1 and 2 have the same address a:1"},
		{[]string{"--id", "1", "--peers", "1=a:1;x"}, `--peers: "1=a:1;x" has no port for clients behind the semicolon`},
		{[]string{"--client-port", "70000"}, "--client-port 70000 is not a port"},
		{[]string{"--admin-port", "-1"}, "--admin-port -1 is not a port; 0 means none"},
		{[]string{"--tick-ms", "0"}, "--tick-ms 0: give milliseconds, such as 2000"},
		{[]string{"--min-session-timeout-ms", "9", "--max-session-timeout-ms", "8"}, "session timeouts from 9 to 8 ms: the shortest must not be above the longest"},
		{[]string{"--advertise", "nonsense"}, `--advertise "nonsense" is not host:port`},
		{[]string{"--log-level", "loud"}, `--log-level "loud": give debug, info, warn or error`},
		{[]string{"--log-format", "xml"}, `--log-format "xml": give text or json`},
		{[]string{"--data-dir", zkDir}, zkDir + " holds ZooKeeper's own data (version-2), which is not taken over; give another directory with --data-dir or dataDir"},
		{[]string{"--config", noID}, filepath.Join(filepath.Dir(noID), "myid") + " is missing; write this server's number into it, one of 1, 2, or give --id"},
		{[]string{"--config", zooCfg(t, "tickTime=x", "")}, "tickTime=x is not a number in milliseconds, such as 2000"},
	} {
		_, err := resolveArgs(t, tc.args...)
		if err == nil || exitCode(err) != exitUsage || !strings.Contains(explain(err), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v:\n got %v (exit %d)\nwant %s", tc.args, err, exitCode(err), tc.want)
		}
	}
	if !errors.As(usageError{os.ErrExist}, new(usageError)) {
		t.Error("usage errors are not found")
	}
}

func TestGCPercent(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct {
		live    uint64
		percent int
	}{
		{0, 800}, {1 * mib, 800}, {4 * mib, 400}, {16 * mib, 100}, {64 * mib, 25}, {160 * mib, 10}, {240 * mib, 10}, {4096 * mib, 10},
	} {
		if got := gcPercent(tc.live); got < tc.percent-1 || got > tc.percent {
			t.Errorf("gcPercent(%d MiB) = %d, want %d", tc.live/mib, got, tc.percent)
		}
	}
}

func TestParsePeersBrackets(t *testing.T) {
	got, err := parsePeers("1=[::1]:2888;2181, 2=host")
	want := []server.Member{{ID: 1, PeerAddr: "[::1]:2888", ClientAddr: "[::1]:2181"}, {ID: 2, PeerAddr: "host:2888"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}
