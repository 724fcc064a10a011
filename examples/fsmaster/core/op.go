package core

import "fmt"

// Kind is what an Op does.
type Kind string

// The kinds.
const (
	Mkdir     Kind = "mkdir"     // Path; Parents makes those that are missing, and none an error of nothing
	Create    Kind = "create"    // Path, Mode, Owner: an empty file
	AddBlock  Kind = "addblock"  // Path, Size: one more block at the end of a file, and who shall have it
	Rename    Kind = "rename"    // Path to To, across directories; Replace lets it take the place of a file
	Delete    Kind = "delete"    // Path; Recursive takes what is below along
	SetAttr   Kind = "setattr"   // Path; Mode, Owner, Attrs as far as they are set; an empty value removes an attribute
	Register  Kind = "register"  // Addr, Size: a worker with that capacity; again after a restart
	Heartbeat Kind = "heartbeat" // Worker, Used, and Blocks that it has got rid of
	Lose      Kind = "lose"      // Worker, unless it was heard of after Since; Term: only if that is the present one
	Mount     Kind = "mount"     // Path, which must be an empty directory, To a URI
	Unmount   Kind = "unmount"   // Path
	Import    Kind = "import"    // Records of another master's journal, in order
	Imported  Kind = "imported"  // the import is over
)

// Op is an operation that changes something.
type Op struct {
	Kind      Kind              `json:"op"`
	Path      string            `json:"path,omitempty"`
	To        string            `json:"to,omitempty"`
	Parents   bool              `json:"parents,omitempty"`
	Recursive bool              `json:"recursive,omitempty"`
	Replace   bool              `json:"replace,omitempty"`
	Mode      *uint32           `json:"mode,omitempty"`
	Owner     string            `json:"owner,omitempty"`
	Attrs     map[string]string `json:"attrs,omitempty"`
	Addr      string            `json:"addr,omitempty"`
	Size      int64             `json:"size,omitempty"`
	Worker    uint64            `json:"worker,omitempty"`
	Used      int64             `json:"used,omitempty"`
	Blocks    []uint64          `json:"blocks,omitempty"`
	Since     int64             `json:"since,omitempty"`
	Term      uint64            `json:"term,omitempty"`
	Records   []Record          `json:"records,omitempty"`
}

// Env is what an operation is applied with beside its own words.
type Env struct {
	TimeMs int64  // the time, as the one who leads has it
	Term   uint64 // in which it was decided: raft's, or the number of the election
}

// Record is an operation as a journal has it.
type Record struct {
	Seq    uint64 `json:"seq"`
	TimeMs int64  `json:"ms"`
	Epoch  uint64 `json:"epoch"`
	Op     Op     `json:"do"`
}

// Code says how an operation ended.
type Code string

// The codes. The empty one is success.
const (
	NoEnt     Code = "no such file or directory"
	Exists    Code = "it exists"
	NotDir    Code = "not a directory"
	IsDir     Code = "it is a directory"
	NotEmpty  Code = "the directory is not empty"
	Invalid   Code = "invalid"
	Busy      Code = "a mount point"
	Stale     Code = "decided in an earlier term"
	NoWorker  Code = "no such worker"
	Full      Code = "a bound is reached"
	Importing Code = "an import is under way; finish it first"
	Gap       Code = "records are missing"
)

// Result is what an operation comes to, on every master alike.
type Result struct {
	Code   Code    `json:"code,omitempty"`
	Detail string  `json:"detail,omitempty"`
	Info   *Info   `json:"info,omitempty"`   // of what was made or changed
	Block  *Block  `json:"block,omitempty"`  // AddBlock
	Worker uint64  `json:"worker,omitempty"` // Register
	Count  int     `json:"count,omitempty"`  // inodes that Delete removed, records that Import applied
	Seq    *uint64 `json:"seq,omitempty"`    // Import: the last record that is in
}

// Err is the result as an error, nil for success.
func (r *Result) Err() error {
	if r.Code == "" {
		return nil
	}
	return &Error{r.Code, r.Detail}
}

// Error is a Code as an error.
type Error struct {
	Code   Code
	Detail string
}

// Error is the code and the detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return string(e.Code)
	}
	return e.Detail + ": " + string(e.Code)
}

// Info is an inode as it is shown.
type Info struct {
	ID      uint64            `json:"id"`
	Name    string            `json:"name"`
	Dir     bool              `json:"dir,omitempty"`
	Mode    uint32            `json:"mode"`
	Owner   string            `json:"owner,omitempty"`
	Size    int64             `json:"size"`
	MtimeMs int64             `json:"mtime_ms"`
	CtimeMs int64             `json:"ctime_ms"`
	Entries int               `json:"entries,omitempty"`
	Attrs   map[string]string `json:"attrs,omitempty"`
	Blocks  []Block           `json:"blocks,omitempty"`
	Mount   string            `json:"mount,omitempty"`
}

// Block is a part of a file, and who has it.
type Block struct {
	ID      uint64   `json:"id"`
	Size    int64    `json:"size"`
	Workers []uint64 `json:"workers"`
}

// Worker is one who keeps blocks.
type Worker struct {
	ID       uint64 `json:"id"`
	Addr     string `json:"addr"`
	Capacity int64  `json:"capacity"`
	Used     int64  `json:"used"`
	SeenMs   int64  `json:"seen_ms"`
	Lost     bool   `json:"lost,omitempty"`
}

func fail(code Code, format string, args ...any) *Result {
	return &Result{Code: code, Detail: fmt.Sprintf(format, args...)}
}
