package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/internal/raw"
)

// quotaCommands are typed into ZooKeeper's shell, as shellCommands are.
var quotaCommands = []struct {
	command string
	want    []string
}{
	{"create $R one", []string{`Created \$R`}},
	{"create $R/a two", []string{`Created \$R/a`}},
	{"setquota -N 3 $R", nil},
	{"listquota $R", []string{`Output quota for \$R count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=3`, `Output stat for \$R count=2,bytes=6`}},
	{"create $R/b", []string{`Created \$R/b`}},
	{"create $R/c", []string{`Quota has exceeded : \$R/c`}},
	{"create -e $R/e", []string{`Quota has exceeded`}},
	{"create -s $R/s", []string{`Quota has exceeded`}},
	{"create -c $R/container", []string{`Quota has exceeded`}},
	{"delete $R/b", nil},
	{"listquota $R", []string{`Output stat for \$R count=2,bytes=6`}},
	{"create $R/b", []string{`Created \$R/b`}},
	{"setquota -B 8 $R", nil},
	{"set $R/b too-long", []string{`Quota has exceeded : \$R/b`}},
	{"set $R/b ok", nil},
	{"listquota $R", []string{`countHardLimit=3`, `Output stat for \$R count=3,bytes=8`}},
	{"setquota -n 1 $R", []string{`\[Warning\]: the count quota you create is less than the existing count:3`}},
	{"delquota -N $R", nil},
	{"create $R/c", []string{`Created \$R/c`}},
	{"listquota $R", []string{`count=1,bytes=-1=;byteHardLimit=8;countHardLimit=-1`, `Output stat for \$R count=4,bytes=8`}},
	{"setquota -n 5 $R/a", []string{`\$R.* has a parent .*which has a quota|has quota`}},
	{"setquota -n 5 /zookeeper/quota/x", []string{`cannot set a quota under the path: /zookeeper/quota`}},
	{"setquota -n 0 $R", []string{`the num quota must be greater than zero`}},
	{"setquota -b -5 $R", []string{`(?i)the bytes quota must be greater|usage|missing argument|setquota`}},
	{"setquota -n many $R", []string{`NumberFormatException`}},
	{"delquota $R", nil},
	{"listquota $R", []string{`quota for \$R does not exist`}},
	{"ls /zookeeper/quota", []string{`(?m)^\[\]$`}},
	{"create $R/d whatever", []string{`Created \$R/d`}},
	{"deleteall $R", nil},
}

// TestQuotaShell sets, sees, meets and deletes quotas with ZooKeeper's own shell.
func TestQuotaShell(t *testing.T) {
	need(t)
	e := ensemble.Start(t, ensemble.Options{Target: target(), Config: []string{"enforceQuota=true"}})
	root := suiteRoot(t)
	sh := startShell(t, e.Connect())
	for _, c := range quotaCommands {
		command := strings.ReplaceAll(c.command, "$R", root)
		out, err := sh.run(command)
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		if (len(c.want) == 0 && strings.TrimSpace(out) != "") || !inOrder(out, c.want, root) {
			t.Errorf("%s: printed\n%s\nwant %s", command, out, c.want)
		}
	}
}

// TestLargeListing lists children whose names take more than jute.maxbuffer: a reply is as long as it has to be, and the client's own limit decides.
func TestLargeListing(t *testing.T) {
	need(t)
	e := ensemble.Start(t, ensemble.Options{Target: target(), Config: []string{"jute.maxbuffer=200000"}})
	c, err := raw.Dial(e.Servers[0].Addr(), raw.Session{TimeoutMs: faultTimeoutMs})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const many = 60_000 // names of 20 bytes and their lengths: 1.4 MB
	if r, err := c.Call(raw.Create(nil, 1, "/many", nil, raw.Persistent)); err != nil || r.Err != 0 {
		t.Fatalf("create: error %d, %v", r.Err, err)
	}
	for at := 0; at < many; at += 1000 {
		if err := pipeline(c, 1000, func(b []byte, xid int32) []byte {
			return raw.Create(b, xid, fmt.Sprintf("/many/name-of-twenty-%05d", at+int(xid)), nil, raw.Persistent)
		}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := c.Call(raw.Read(nil, 2, raw.OpGetChildren, "/many"))
	if err != nil || r.Err != 0 {
		t.Fatalf("getChildren: error %d, %v", r.Err, err)
	}
	if names, err := raw.Strings(r.Body); err != nil || len(names) != many {
		t.Errorf("%d names, %v", len(names), err)
	}
	// ZooKeeper's shell has a limit of its own, and says so; raised, it gets the list.
	for limit, want := range map[string]bool{"500000": false, "4000000": true} {
		cmd := shellCommand(t, e.Connect(), "getAllChildrenNumber", "/many")
		cmd.Args = withOption(cmd.Args, "-Djute.maxbuffer="+limit)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), fmt.Sprint(many)) {
			t.Errorf("getAllChildrenNumber: %v\n%.400s", err, out)
		}
		cmd = shellCommand(t, e.Connect(), "ls", "/many")
		cmd.Args = withOption(cmd.Args, "-Djute.maxbuffer="+limit)
		out, err := printed(cmd)
		if got := strings.Contains(out, "name-of-twenty-60000"); got != want {
			t.Errorf("ls with a limit of %s: listed %v, %v\n%.400s", limit, got, err, out)
		}
	}
	if target() == ensemble.ZooKeeper {
		return // it takes its limit from a system property of another name than zoo.cfg can set
	}
	// A request beyond the server's limit costs the connection, not the session.
	_ = c.Send(raw.Set(nil, 3, "/many", make([]byte, 300_000), -1))
	_ = c.Flush()
	if _, err := c.Receive(); err == nil {
		t.Error("a request of 300,000 bytes was taken")
	}
	again, err := raw.Dial(e.Servers[0].Addr(), c.Session)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// withOption adds an option of the Java machine.
func withOption(args []string, option string) []string {
	return append([]string{args[0], option}, args[1:]...)
}

// printed is what a program prints, which may be killed when it does not end.
func printed(cmd *exec.Cmd) (string, error) {
	timer := time.AfterFunc(shellReply, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	return string(out), err
}
