package main

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopherwood/internal/server/zoocfg"
)

// TestListenClients: what a configuration file says of clients' connections holds for a real listener.
func TestListenClients(t *testing.T) {
	s := &settings{file: &zoocfg.Config{Backlog: 7, KeepAlive: true}}
	l, err := s.listenClients("client-port", "clientPort", "127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted.Close()
}

func TestWarnOfKeys(t *testing.T) {
	var out bytes.Buffer
	s := &settings{file: &zoocfg.Config{Ignored: []string{"preAllocSize"}, Unknown: []string{"no.such.key"}}}
	s.warnOfKeys(slog.New(slog.NewTextHandler(&out, nil)))
	for _, want := range []string{"preAllocSize has no meaning here: the log is written", "no.such.key is not a key of ZooKeeper or Gopherwood"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestDataDirMustExist(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zoo.cfg")
	missing := filepath.Join(t.TempDir(), "missing")
	if err := os.WriteFile(file, []byte("datadir.autocreate=false\ndataDir="+missing+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := resolveArgs(t, "--config", file)
	if exitCode(err) != exitUsage || !strings.Contains(explain(err), "datadir.autocreate=false forbids to make it") {
		t.Errorf("%v", err)
	}
	if err := os.Mkdir(missing, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := resolveArgs(t, "--config", file); err != nil {
		t.Error(err)
	}
}
