package replicatest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gopherwood/replica"
)

// prices is a state machine without a mistake, but for the one that is planted in it: names and prices, with a sum.
type prices struct {
	mu      sync.Mutex
	data    contents
	planted string
	kept    []byte
}

type contents struct {
	Prices map[string]float64
	Count  int
	Last   string
}

// priceCommand is "name price", or something that is none.
func priceCommand(r *rand.Rand) []byte {
	switch n := r.IntN(50); n {
	case 0:
		return nil
	case 1:
		return []byte("nonsense")
	}
	return fmt.Appendf(nil, "name-%d %g", r.IntN(40), r.Float64()*100)
}

type priceResult struct {
	Count int
	Note  string
	err   error
}

var shared atomic.Int64

func newPrices(planted string) *prices {
	return &prices{data: contents{Prices: map[string]float64{}}, planted: planted}
}

func (p *prices) Apply(c replica.Command) any {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.data.Count++
	res := &priceResult{Count: p.data.Count}
	name, price, ok := strings.Cut(string(c.Data), " ")
	v, err := strconv.ParseFloat(price, 64)
	if !ok || err != nil {
		res.err = errors.New("not understood")
		return res
	}
	p.data.Prices[name] = v
	res.Note, p.data.Last = p.data.Last, name
	p.mistake(c, res)
	return res
}

// mistake is what is planted in Apply.
func (p *prices) mistake(c replica.Command, res *priceResult) {
	switch p.planted {
	case "map order in a result":
		for name := range p.data.Prices {
			res.Note = name
			break
		}
	case "a sum of floats in the order of a map":
		sum := 0.0
		for _, v := range p.data.Prices {
			sum += v
		}
		res.Note = strconv.FormatFloat(sum, 'g', -1, 64)
	case "the local clock":
		if time.Now().Year() > 2010 {
			p.data.Last += " (late)"
		}
	case "a counter that instances share":
		res.Note = strconv.FormatInt(shared.Add(1), 10)
	case "random numbers":
		if rand.IntN(500) == 0 {
			p.data.Count++
		}
	case "the process's number":
		res.Note = strconv.Itoa(os.Getpid())
	case "the local time zone":
		res.Note = time.UnixMilli(c.TimeMs).Format(time.Kitchen)
	case "an address":
		res.Note = fmt.Sprintf("%p", res)
	case "a command's bytes kept":
		if p.kept != nil {
			res.Note = string(p.kept)
		}
		p.kept = c.Data
	case "a panic":
		if p.data.Count == 77 {
			panic("seventy-seven is too much")
		}
	}
}

func (p *prices) View() (replica.View, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.planted == "a view that fails" && p.data.Count > 10 {
		return nil, errors.New("no paper left")
	}
	v := &pricesView{data: p.data, planted: p.planted, mu: &p.mu}
	if p.planted != "a view that changes" {
		v.data.Prices = maps.Clone(p.data.Prices)
	}
	return v, nil
}

type pricesView struct {
	data    contents
	planted string
	mu      *sync.Mutex // for the planted mistake
}

func (v *pricesView) WriteTo(w io.Writer) (int64, error) {
	if v.planted == "a view that changes" {
		for range 200 {
			if _, err := w.Write(nil); err != nil {
				return 0, err
			}
		}
		v.mu.Lock()
		defer v.mu.Unlock()
	}
	if v.planted == "something left out of the snapshot" {
		v.data.Last = ""
	}
	b, err := json.Marshal(v.data)
	if v.planted == "map order in the snapshot" {
		var text bytes.Buffer
		for name, price := range v.data.Prices {
			fmt.Fprintln(&text, name, price)
		}
		head, herr := json.Marshal(contents{Count: v.data.Count, Last: v.data.Last})
		b, err = append(append(head, '\n'), text.Bytes()...), herr
	}
	if err != nil {
		return 0, err
	}
	n, err := w.Write(b)
	if v.planted == "a writer's error swallowed" {
		err = nil
	}
	if v.planted == "a wrong count of bytes" {
		n++
	}
	return int64(n), err
}

func (*pricesView) Close() {}

func (p *prices) Restore(r io.Reader) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := io.ReadAll(r)
	if p.planted == "a reader's error swallowed" {
		if err != nil {
			return nil
		}
	} else if err != nil {
		return err
	}
	data := contents{Prices: map[string]float64{}}
	if p.planted == "a state that is not cleared" {
		data.Prices = p.data.Prices
	}
	head, text, _ := bytes.Cut(b, []byte("\n"))
	if err := json.Unmarshal(head, &data); err != nil {
		return err
	}
	if data.Prices == nil {
		data.Prices = map[string]float64{}
	}
	for line := range strings.Lines(string(text)) {
		name, price, _ := strings.Cut(strings.TrimSpace(line), " ")
		if data.Prices[name], err = strconv.ParseFloat(price, 64); err != nil {
			return err
		}
	}
	p.data = data
	return nil
}

func kit(planted string) Kit {
	return Kit{New: func() replica.StateMachine { return newPrices(planted) }, Command: priceCommand, Seeds: 3}
}

func TestAMachineWithoutMistakesConforms(t *testing.T) { Test(t, kit("")) }

// summed is prices with a digest, and snapshots in any order.
type summed struct{ *prices }

func (s summed) Digest() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := uint64(printOf(s.data.Last)) + uint64(s.data.Count)
	for name, price := range s.data.Prices {
		sum += uint64(printOf([]any{name, price}))
	}
	return sum
}

func TestADigestMakesTheOrderOfASnapshotFree(t *testing.T) {
	k := kit("")
	k.New = func() replica.StateMachine { return summed{newPrices("map order in the snapshot")} }
	Test(t, k)
}

// verdict is what Test says, as an error.
func verdict(t *testing.T, k Kit) error {
	if err := k.validate(); err != nil {
		t.Fatal(err)
	}
	if out := os.Getenv(childVariable); out != "" {
		if err := k.writeTrace(out); err != nil {
			t.Fatal(err)
		}
		t.SkipNow()
	}
	for _, c := range checks {
		if err := c.run(t, &k); err != nil {
			return err
		}
	}
	return nil
}

// Each planted mistake is found, and the error names the state machine and what is wrong.
func TestPlantedMistakesAreFound(t *testing.T) {
	planted := map[string]string{
		"map order in a result":                 "another result in a second instance",
		"map order in the snapshot":             "its snapshot",
		"a sum of floats in the order of a map": "another result in a second instance",
		"the local clock":                       "whose clock stands in the year 2000",
		"a counter that instances share":        "another result",
		"random numbers":                        "is not deterministic",
		"the process's number":                  "in another process",
		"the local time zone":                   "in another process",
		"an address":                            "another result",
		"a command's bytes kept":                "another result in a second instance",
		"a panic":                               "seventy-seven is too much",
		"a view that fails":                     "no paper left",
		"a view that changes":                   "Does the view change",
		"something left out of the snapshot":    "does not go on like the others",
		"a state that is not cleared":           "an instance that held another state",
		"a writer's error swallowed":            "swallows the error of the writer",
		"a reader's error swallowed":            "swallows the error of the reader",
		"a wrong count of bytes":                "says that its snapshot has",
	}
	for _, name := range slices.Sorted(maps.Keys(planted)) {
		t.Run(name, func(t *testing.T) {
			err := verdict(t, kit(name))
			if err == nil {
				t.Fatal("it is not found")
			}
			for _, want := range []string{"*replicatest.prices", planted[name]} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
			t.Logf("%.300v", err)
		})
	}
}

// The simulator alone finds, too, what depends on who applies.
func TestConvergenceFindsByItself(t *testing.T) {
	for _, name := range []string{"map order in a result", "random numbers", "something left out of the snapshot", "a panic"} {
		k := kit(name)
		if err := k.validate(); err != nil {
			t.Fatal(err)
		}
		if err := convergence(t, &k); err == nil || !strings.Contains(err.Error(), "*replicatest.prices") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPrintsAreDeep(t *testing.T) {
	type node struct {
		name string
		next *node
		m    map[string][]byte
	}
	a := &node{"a", &node{name: "b"}, map[string][]byte{"x": {1}, "y": nil}}
	same := &node{"a", &node{name: "b"}, map[string][]byte{"y": nil, "x": {1}}}
	if printOf(a) != printOf(same) {
		t.Error("equal values have different prints")
	}
	for i, other := range []any{nil, a.next, &node{"a", nil, a.m}, &node{"a", &node{name: "c"}, a.m}, &node{"a", a.next, map[string][]byte{"x": {2}, "y": nil}}, errors.New("a")} {
		if printOf(a) == printOf(other) {
			t.Errorf("value %d is taken for equal", i)
		}
	}
	one, two := errors.New("a"), errors.New("a")
	if printOf(one) != printOf(two) || printOf(one) == printOf(errors.New("b")) {
		t.Error("errors are compared by where they lie")
	}
	loop := &node{name: "loop"}
	loop.next = loop
	printOf(loop) // ends
}
