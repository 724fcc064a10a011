package client_test

import (
	"context"
	"testing"

	"gopherwood/client"
	"gopherwood/internal/fakezk"
	"gopherwood/zk"
)

// BenchmarkGet is one caller's round trips, BenchmarkPipeline a stream of sets; the server in memory is part of both.
func BenchmarkGet(b *testing.B) {
	benchmark(b, func(ctx context.Context, c *client.Client) {
		for b.Loop() {
			if _, _, err := c.Get(ctx, "/n"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPipeline(b *testing.B) {
	benchmark(b, func(ctx context.Context, c *client.Client) {
		p := c.Pipeline()
		data := make([]byte, 100)
		window := make([]*client.Pending[zk.Stat], 0, 128)
		wait := func() {
			for _, k := range window {
				if _, err := k.Wait(ctx); err != nil {
					b.Fatal(err)
				}
			}
			window = window[:0]
		}
		for b.Loop() {
			if window = append(window, p.Set(ctx, "/n", data, client.AnyVersion)); len(window) == cap(window) {
				wait()
			}
		}
		wait()
	})
}

func benchmark(b *testing.B, f func(ctx context.Context, c *client.Client)) {
	s := fakezk.New()
	defer s.Close()
	s.Do(zk.OpCreate, "/n", "")
	s.Forget()
	addr, err := s.Listen()
	if err != nil {
		b.Fatal(err)
	}
	c, err := client.Connect(b.Context(), addr, client.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	b.ReportAllocs()
	f(b.Context(), c)
}
