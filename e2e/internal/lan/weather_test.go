package lan

import (
	"math/rand/v2"
	"testing"
	"time"
)

// passed sends packets of 1000 bytes, a millisecond apart, and returns when each copy arrives after its sending, and how many are lost.
func passed(w Weather, packets int) (after []time.Duration, order []time.Time, lost int) {
	k := link{Weather: w}
	r := rand.New(rand.NewPCG(1, 1))
	now := time.Now()
	for range packets {
		arrivals := k.pass(r, now, 1000)
		if len(arrivals) == 0 {
			lost++
		}
		for _, at := range arrivals {
			after, order = append(after, at.Sub(now)), append(order, at)
		}
		now = now.Add(time.Millisecond)
	}
	return after, order, lost
}

func overtakings(order []time.Time) (n int) {
	for i := 1; i < len(order); i++ {
		if order[i].Before(order[i-1]) {
			n++
		}
	}
	return n
}

func TestWeather(t *testing.T) {
	const packets = 2000
	if after, _, _ := passed(Weather{Cut: true}, packets); len(after) != 0 {
		t.Errorf("%d of %d packets pass a cut link", len(after), packets)
	}
	if _, _, lost := passed(Weather{Loss: 0.2}, packets); lost < packets/6 || lost > packets/4 {
		t.Errorf("%d of %d packets are lost, wanted a fifth", lost, packets)
	}
	if after, _, _ := passed(Weather{Duplicate: 0.5}, packets); len(after) < packets*4/3 || len(after) > packets*5/3 {
		t.Errorf("%d of %d packets arrive, wanted half of them twice", len(after), packets)
	}
	late := Weather{Delay: 20 * time.Millisecond, Jitter: 30 * time.Millisecond}
	after, order, _ := passed(late, packets)
	if n := overtakings(order); n != 0 {
		t.Errorf("%d packets are overtaken", n)
	}
	for _, d := range after {
		if d < late.Delay || d > late.Delay+late.Jitter {
			t.Fatalf("a packet takes %v", d)
		}
	}
	late.Overtake = true
	if _, order, _ = passed(late, packets); overtakings(order) < packets/4 {
		t.Errorf("%d of %d packets are overtaken", overtakings(order), packets)
	}
	after, _, lost := passed(Weather{BytesPerSecond: 500_000}, 2*packets) // half of what comes
	if lost < packets/3 {
		t.Errorf("%d of %d packets are lost on a link for half of them", lost, 2*packets)
	}
	if worst := after[len(after)-1]; worst < maxBacklog-10*time.Millisecond || worst > maxBacklog+10*time.Millisecond {
		t.Errorf("the last packet takes %v", worst)
	}
}
