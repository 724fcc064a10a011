package replica_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"time"

	"gopherwood/replica"
)

// counter is a state machine: a number that commands add to.
type counter struct{ total int64 }

func (c *counter) Apply(cmd replica.Command) any {
	n, _ := binary.Varint(cmd.Data)
	c.total += n
	return c.total
}

func (c *counter) View() (replica.View, error) { return picture(c.total), nil }

func (c *counter) Restore(r io.Reader) error {
	return binary.Read(r, binary.LittleEndian, &c.total)
}

// picture is the counter at one moment.
type picture int64

func (p picture) WriteTo(w io.Writer) (int64, error) {
	return 8, binary.Write(w, binary.LittleEndian, int64(p))
}
func (p picture) Close() {}

// A replicated counter, whole. With Peers it would be the same on three servers.
func Example() {
	dir, err := os.MkdirTemp("", "counter")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	r, err := replica.Start(replica.Config{Dir: dir, ServerID: 1, Logger: slog.New(slog.DiscardHandler)}, &counter{})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, n := range []int64{40, 3, -1} {
		total, err := r.Do(ctx, binary.AppendVarint(nil, n))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(total)
	}
	// Output:
	// 40
	// 43
	// 42
}

// Work for one of the members: it begins when this one leads, and ends with its term. What it decides carries the term's number.
func ExampleReplica_Terms() {
	dir, err := os.MkdirTemp("", "terms")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	r, err := replica.Start(replica.Config{Dir: dir, ServerID: 1, Logger: slog.New(slog.DiscardHandler)}, &counter{})
	if err != nil {
		log.Fatal(err)
	}
	for term := range r.Terms() { // ends when the replica stops
		fmt.Println("leading")
		go r.Close() // or an election, a pause, a network that is cut
		<-term.Context().Done()
		fmt.Println("not leading any more")
	}
	// Output:
	// leading
	// not leading any more
}
