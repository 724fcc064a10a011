package audit

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Result is how a change ended.
type Result string

// The results (AuditEvent.Result).
const (
	Success Result = "success"
	Failure Result = "failure"
	Invoked Result = "invoked"
)

// The operations (AuditConstants).
const (
	OpStart           = "serverStart"
	OpStop            = "serverStop"
	OpCreate          = "create"
	OpDelete          = "delete"
	OpSetData         = "setData"
	OpSetACL          = "setAcl"
	OpMulti           = "multiOperation"
	OpReconfig        = "reconfig"
	OpDeleteEphemeral = "ephemeralZNodeDeletionOnSessionCloseOrExpire"

	opLost = "auditLinesLost" // ours
)

// Event is a line. Fields that are empty are left out.
type Event struct {
	Session   int64 // 0: none
	User      string
	IP        string
	Operation string
	Znode     string
	ZnodeType string
	ACL       string
	Result    Result
}

// Log is an audit log. Its methods may be called from any goroutine, also on a nil Log, which writes nothing.
type Log struct {
	name string // "": to
	to   io.Writer
	log  *slog.Logger
	now  func() time.Time

	file *os.File // owned by the writer

	wake chan struct{} // holds one
	done chan struct{}

	mu sync.Mutex
	// guarded by mu
	pending []byte
	lines   int
	lost    int64
	closed  bool
}

// Open appends to a file, or makes it. Losses are told to log.
func Open(name string, log *slog.Logger) (*Log, error) {
	l := &Log{name: name, log: log}
	if err := l.open(); err != nil {
		return nil, err
	}
	l.start()
	return l, nil
}

// New writes to w, which belongs to the log's writer until Close.
func New(w io.Writer, log *slog.Logger) *Log {
	l := &Log{to: w, log: log}
	l.start()
	return l
}

func (l *Log) start() {
	l.now = time.Now
	l.wake, l.done = make(chan struct{}, 1), make(chan struct{})
	go l.write()
}

// Add notes an event. It never waits.
func (l *Log) Add(e *Event) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.pending) > maxPendingBytes {
		l.lost++
		return
	}
	l.pending = append(e.append(stamp(l.pending, l.now(), e.Result)), '\n')
	l.lines++
	l.kick()
}

func (l *Log) kick() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Close writes what is left and ends the writer.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.kick()
	l.mu.Unlock()
	<-l.done
	if closed || l.file == nil {
		return nil
	}
	return l.file.Close()
}

// take is all that waits to be written, with a line about what was lost. The buffer given back is used for what comes next.
func (l *Log) take(spare []byte) (batch []byte, lines int, lost int64, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch, lines, lost, closed = l.pending, l.lines, l.lost, l.closed
	l.pending, l.lines, l.lost = spare[:0], 0, 0
	return batch, lines, lost, closed
}

// write is the writer.
func (l *Log) write() {
	defer close(l.done)
	var spare []byte
	failing := false
	for range l.wake {
		batch, lines, lost, closed := l.take(spare)
		if lost > 0 {
			e := Event{Operation: opLost, Result: Failure}
			batch = append(e.append(stamp(batch, l.now(), Failure)), fmt.Sprintf("\tlines=%d\n", lost)...)
		}
		if len(batch) > 0 {
			err := l.put(batch)
			switch {
			case err != nil:
				l.mu.Lock()
				l.lost += lost + int64(lines)
				l.mu.Unlock()
				if !failing {
					l.log.Error("the audit log cannot be written: its lines are lost until it can be", "error", err)
				}
			case failing:
				l.log.Warn("the audit log can be written again", "lost", lost)
			case lost > 0:
				l.log.Warn("the audit log was slower than the changes: lines were lost", "lost", lost)
			}
			failing = err != nil
		}
		if closed {
			return
		}
		if spare = batch; cap(spare) > maxPendingBytes/8 {
			spare = nil
		}
	}
}

// put writes a batch: whole lines or none, if that is possible.
func (l *Log) put(batch []byte) error {
	w := l.to
	if l.name != "" {
		if err := l.reopen(); err != nil {
			return err
		}
		w = l.file
	}
	n, err := w.Write(batch)
	if err != nil && n > 0 && l.file != nil {
		if st, serr := l.file.Stat(); serr == nil {
			err = errors.Join(err, l.file.Truncate(st.Size()-int64(n)))
		}
	}
	return err
}

func (l *Log) open() error {
	f, err := os.OpenFile(l.name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	l.file = f
	return nil
}

// reopen makes the file anew if somebody has moved it away.
func (l *Log) reopen() error {
	there, err := os.Stat(l.name)
	if err == nil && l.file != nil {
		if ours, oerr := l.file.Stat(); oerr == nil && os.SameFile(there, ours) {
			return nil
		}
	}
	if l.file != nil {
		if cerr := l.file.Close(); cerr != nil {
			l.log.Debug("closing the audit log", "error", cerr)
		}
		l.file = nil
	}
	return l.open()
}

// stamp appends what comes before the fields: logback's "%d{ISO8601} %p %c{2}: ", as ZooKeeper's own configuration has it.
func stamp(b []byte, at time.Time, r Result) []byte {
	b = at.AppendFormat(b, "2006-01-02 15:04:05,000")
	if r == Failure {
		return append(b, " ERROR audit.Slf4jAuditLogger: "...)
	}
	return append(b, " INFO audit.Slf4jAuditLogger: "...)
}

// append appends the fields in ZooKeeper's order (ZKAuditProvider.createLogEvent, AuditEvent.toString).
func (e *Event) append(b []byte) []byte {
	start := len(b)
	if e.Session != 0 {
		b = field(b, start, "session", "0x"+strconv.FormatUint(uint64(e.Session), 16))
	}
	for _, f := range [...][2]string{{"user", e.User}, {"ip", e.IP}, {"operation", e.Operation}, {"znode", e.Znode}, {"znode_type", e.ZnodeType}, {"acl", e.ACL},
		{"result", string(e.Result)}} {
		if f[1] != "" {
			b = field(b, start, f[0], f[1])
		}
	}
	return b
}

func field(b []byte, start int, name, value string) []byte {
	if len(b) > start {
		b = append(b, '\t')
	}
	return appendClean(append(append(b, name...), '='), value)
}

// appendClean appends what a client has named, so that it can neither end a line nor begin a field.
func appendClean(b []byte, s string) []byte {
	cut := len(s) > maxFieldBytes
	if cut {
		s = s[:maxFieldBytes]
	}
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			b = append(b, '?')
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	if cut {
		b = append(b, "…"...)
	}
	return b
}

// ServerUser is who the server is in its own lines: the operating system's user (ZKAuditProvider.getZKUser).
func ServerUser() string {
	u, err := user.Current()
	if err != nil {
		return "<NA>"
	}
	return u.Username
}
