package audit

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

var someEvent = Event{Session: 0x19344730000, User: "192.168.1.2,zkcli@HADOOP.COM", IP: "192.168.1.2", Operation: OpCreate, Znode: "/a", ZnodeType: "persistent", Result: Success}

// The lines of ZooKeeper's administrator's guide.
func TestLines(t *testing.T) {
	const who = "session=0x19344730000\tuser=192.168.1.2,zkcli@HADOOP.COM\tip=192.168.1.2\t"
	failed := someEvent
	failed.Operation, failed.ZnodeType, failed.ACL, failed.Result = OpSetACL, "", "world:anyone:cdrwa", Failure
	for want, e := range map[string]Event{
		who + "operation=create\tznode=/a\tznode_type=persistent\tresult=success":              someEvent,
		who + "operation=setAcl\tznode=/a\tacl=world:anyone:cdrwa\tresult=failure":             failed,
		"user=zookeeper/host\toperation=serverStart\tresult=success":                           {User: "zookeeper/host", Operation: OpStart, Result: Success},
		`operation=delete` + "\t" + `znode=/a\u000aresult=success\u0009x` + "\tresult=failure": {Operation: OpDelete, Znode: "/a\nresult=success\tx", Result: Failure},
		"operation=delete\tznode=?\ufffd\tresult=failure":                                      {Operation: OpDelete, Znode: "\xff\ufffd", Result: Failure},
		"operation=delete\tznode=" + strings.Repeat("x", maxFieldBytes) + "…\tresult=failure":  {Operation: OpDelete, Znode: strings.Repeat("x", 1<<20), Result: Failure},
	} {
		if got := string(e.append(nil)); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestFileAndRotation(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	l, err := Open(name, quiet())
	if err != nil {
		t.Fatal(err)
	}
	l.Add(&someEvent)
	for seen := false; !seen; { // the writer has written it
		b, err := os.ReadFile(name)
		seen = err == nil && len(b) > 0
	}
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	second := someEvent
	second.Result = Failure
	l.Add(&second)
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	l.Add(&second) // comes too late, and does no harm
	line := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|ERROR) audit\.Slf4jAuditLogger: session=0x19344730000\t.*\tresult=(success|failure)\n$`)
	for file, want := range map[string]string{name + ".1": "INFO", name: "ERROR"} {
		b, err := os.ReadFile(file)
		if m := line.FindSubmatch(b); err != nil || m == nil || string(m[1]) != want {
			t.Errorf("%s: %q %v", file, b, err)
		}
	}
	if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if _, err := Open(filepath.Join(name, "x"), quiet()); err == nil {
		t.Error("a file in a file")
	}
}

// disk is a writer that is full for a while.
type disk struct {
	mu    sync.Mutex
	full  bool
	tried chan struct{}
	bytes.Buffer
}

func (d *disk) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		d.tried <- struct{}{}
		return 0, io.ErrShortWrite
	}
	return d.Buffer.Write(b)
}

func (d *disk) set(full bool) { d.mu.Lock(); d.full = full; d.mu.Unlock() }

// A full disk loses lines, says so at once in the server's log and later in its own, and never makes anybody wait.
func TestFullDisk(t *testing.T) {
	d := &disk{full: true, tried: make(chan struct{}, 10)}
	var log bytes.Buffer
	l := New(d, slog.New(slog.NewTextHandler(&log, nil)))
	for range 3 {
		l.Add(&someEvent)
		<-d.tried
	}
	d.set(false)
	l.Add(&someEvent)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := d.String(); strings.Count(got, "operation=create") != 1 || !strings.HasSuffix(got, "operation=auditLinesLost\tresult=failure\tlines=3\n") {
		t.Errorf("%s", got)
	}
	if got := log.String(); strings.Count(got, "level=ERROR") != 1 || strings.Count(got, "can be written again") != 1 {
		t.Errorf("%s", got)
	}
}

// A disk that hangs makes nobody wait: what does not fit is lost and counted.
func TestHangingDisk(t *testing.T) {
	r, w := io.Pipe()
	l := New(w, quiet())
	long := someEvent
	long.Znode = strings.Repeat("x", maxFieldBytes)
	const n = 2 * maxPendingBytes / maxFieldBytes
	for range n + 2 {
		l.Add(&long)
	}
	l.mu.Lock()
	waiting, lost := len(l.pending), l.lost
	l.mu.Unlock()
	if waiting > maxPendingBytes+2*maxFieldBytes || lost == 0 {
		t.Errorf("%d bytes wait, %d lines are lost", waiting, lost)
	}
	read := make(chan string)
	go func() {
		b, _ := io.ReadAll(r)
		read <- string(b)
	}()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if got := <-read; !strings.Contains(got, "operation=auditLinesLost") || strings.Count(got, "operation=create")+int(lost) != n+2 {
		t.Errorf("%d lines were written", strings.Count(got, "operation=create"))
	}
}

func TestNil(t *testing.T) {
	var l *Log
	l.Add(&someEvent)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// Whatever clients name, a line stays one line with the fields that it has.
func FuzzFields(f *testing.F) {
	f.Add("bob", "/a\nb", "world:anyone:r\t")
	f.Fuzz(func(t *testing.T, user, znode, acl string) {
		e := Event{Session: 1, User: "u" + user, Operation: OpSetACL, Znode: "/" + znode, ACL: "a" + acl, Result: Failure}
		line := string(e.append(nil))
		if fields := strings.Split(line, "\t"); len(fields) != 6 || strings.ContainsAny(line, "\n\r") || !strings.HasSuffix(line, "\tresult=failure") {
			t.Fatalf("%q", line)
		}
	})
}
