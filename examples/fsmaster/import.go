package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"gopherwood/examples/fsmaster/core"
	"gopherwood/examples/fsmaster/fsclient"
	"gopherwood/examples/fsmaster/journal"
)

const (
	importBatch = 500
	// importBytes bounds a batch, well below what the masters take.
	importBytes = 1 << 20
	importEvery = 50 * time.Millisecond
)

// importJournal carries the journal of --ha=zookeeper into masters of --ha=raft, and goes on with what the running master writes. It can be interrupted and started
// again: the masters know which record was the last, and each is applied once.
func importJournal(args []string) error {
	f := flag.NewFlagSet("import", flag.ContinueOnError)
	dir := f.String("journal", "", "the directory with the journal")
	to := f.String("to", "127.0.0.1:9001", "the masters of --ha=raft, as host:port,host:port; they must hold no files yet, or a part of this very journal")
	fencing := f.Bool("fencing", true, "as the masters that write the journal have it")
	follow := f.Bool("follow", false, "go on until interrupted; otherwise end at the journal's end")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		return errors.New("import: --journal is required")
	}
	if _, err := os.Stat(*dir); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := journal.OpenReader(*dir, 0, 0, *fencing)
	if err != nil {
		return err
	}
	defer r.Close()
	i := &importer{c: fsclient.New(strings.Split(*to, ","), 1), r: r}
	for {
		end, err := i.batch(ctx)
		switch {
		case err != nil:
			return err
		case end && !*follow:
			return i.report()
		case !end:
			continue
		}
		select {
		case <-time.After(importEvery):
		case <-ctx.Done():
			return i.report()
		}
	}
}

// importer is an import under way.
type importer struct {
	c      *fsclient.Client
	r      *journal.Reader
	shadow *core.FS // what the journal comes to, to compare
	last   uint64
	sent   int
}

// batch sends the next records, and says whether the journal's end is reached.
func (i *importer) batch(ctx context.Context) (end bool, err error) {
	if i.shadow == nil {
		i.shadow = core.New()
	}
	op := core.Op{Kind: core.Import}
	for from := i.r.Offset(); len(op.Records) < importBatch && i.r.Offset()-from < importBytes; {
		rec, err := i.r.Next()
		if err == io.EOF {
			end = true
			break
		}
		if err != nil {
			return false, err
		}
		if rec.Op.Kind == journal.Begin {
			continue
		}
		i.shadow.Apply(&rec.Op, core.Env{TimeMs: rec.TimeMs, Term: rec.Epoch})
		op.Records = append(op.Records, rec)
	}
	for len(op.Records) > 0 {
		result, err := i.c.Do(ctx, op)
		if errors.Is(err, fsclient.ErrUnknown) {
			continue // to send it again does no harm
		}
		if err != nil {
			return false, fmt.Errorf("import: %w", err)
		}
		i.last, i.sent = *result.Seq, i.sent+result.Count
		break
	}
	return end, nil
}

// report says what there is, and compares.
func (i *importer) report() error {
	ctx, cancel := context.WithTimeout(context.Background(), shellTimeout)
	defer cancel()
	for {
		var s fsclient.Status
		if err := i.c.Get(ctx, "/v1/status", nil, &s); err != nil {
			return err
		}
		want := fmt.Sprintf("%x", i.shadow.Digest())
		if s.Digest == want && s.Inodes == i.shadow.Len() {
			fmt.Printf("%d records are in, %d of them now; %d inodes, digest %s, the same as the journal comes to.\n"+
				"Stop the old masters, run this once more, and then: fsmaster finish\n", i.last, i.sent, s.Inodes, s.Digest)
			return nil
		}
		select { // the master that was asked may be a moment behind
		case <-time.After(importEvery):
		case <-ctx.Done():
			return fmt.Errorf("import: the masters hold %d inodes with digest %s, the journal comes to %d with %s", s.Inodes, s.Digest, i.shadow.Len(), want)
		}
	}
}
