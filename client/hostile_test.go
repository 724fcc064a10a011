package client_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gopherwood/client"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// A server that answers nonsense loses the connection and nothing else: the client goes to the next attempt, the caller gets an error
// or waits for its context.
func TestHostileServers(t *testing.T) {
	granted := func(b []byte) []byte {
		b, mark := wire.BeginFrame(b)
		b = (&wire.ConnectResponse{TimeOut: 9000, SessionID: 1, Passwd: make([]byte, 16), HasReadOnly: true}).Append(b)
		_ = wire.EndFrame(b, mark)
		return b
	}
	for name, answer := range map[string]string{
		"negative length":     "ffffffff",
		"huge length":         "7fffffff",
		"short header":        "0000000400000001",
		"foreign xid":         "00000010 00000063 0000000000000001 00000000",
		"event of two bytes":  "00000012 ffffffff ffffffffffffffff 00000000 0000",
		"unasked auth":        "00000010 fffffffc 0000000000000001 00000000",
		"failed setWatches":   "00000010 fffffff8 0000000000000001 ffffffff",
		"cut off in a header": "0000",
		"cut off in a body":   "00000100 00000001",
	} {
		t.Run(name, func(t *testing.T) {
			bytes, err := hex.DecodeString(strings.ReplaceAll(answer, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				attempts := 0
				dial := func(context.Context, string, string) (net.Conn, error) {
					attempts++
					near, far := net.Pipe()
					go func() {
						defer far.Close()
						_, _ = io.CopyN(io.Discard, far, 49) // the handshake: 45 bytes and their length
						_, _ = far.Write(granted(nil))
						_, _ = io.CopyN(io.Discard, far, 20)
						_, _ = far.Write(bytes)
					}()
					return near, nil
				}
				c, err := client.Connect(t.Context(), "a", client.Options{Dial: dial})
				check(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				_, err = c.Set(ctx, "/x", nil, -1)
				if !errors.Is(err, zk.ErrConnectionLoss) || !client.OutcomeUnknown(err) {
					t.Errorf("the call: %v", err)
				}
				synctest.Wait()
				if c.Err() != nil || attempts < 1 {
					t.Errorf("the client: %v after %d attempts", c.Err(), attempts)
				}
				c.Detach()
			})
		})
	}
}

// A server that grants sessions and hangs up is not called in a tight loop.
func TestFlappingServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		c, err := client.Connect(t.Context(), "a", client.Options{Dial: func(context.Context, string, string) (net.Conn, error) {
			attempts++
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				_, _ = io.CopyN(io.Discard, far, 49)
				b, mark := wire.BeginFrame(nil)
				b = (&wire.ConnectResponse{TimeOut: 9000, SessionID: 1, Passwd: make([]byte, 16), HasReadOnly: true}).Append(b)
				_ = wire.EndFrame(b, mark)
				_, _ = far.Write(b)
			}()
			return near, nil
		}})
		check(t, err)
		time.Sleep(time.Minute) // the fake clock's
		c.Detach()
		if attempts < 60 || attempts > 400 {
			t.Errorf("%d attempts in a minute", attempts)
		}
	})
}

func TestFourLetterWord(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			var word [4]byte
			_, _ = io.ReadFull(nc, word[:])
			_, _ = nc.Write([]byte("you said " + string(word[:])))
			nc.Close()
		}
	}()
	ctx := t.Context()
	if got, err := client.FourLetterWord(ctx, l.Addr().String(), "ruok"); err != nil || got != "you said ruok" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := client.FourLetterWord(ctx, l.Addr().String(), "hello"); err == nil {
		t.Error("five letters were sent")
	}
	if _, err := client.FourLetterWord(ctx, "::1", "ruok"); err == nil {
		t.Error("a bad address was dialed")
	}
}
