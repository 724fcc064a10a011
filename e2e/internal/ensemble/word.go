package ensemble

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Word sends a four-letter word to a server's client port and returns the whole answer.
func Word(addr, word string) (string, error) {
	c, err := net.DialTimeout("tcp", addr, wordLimit)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(wordLimit)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, word); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(c, wordBytes))
	if err != nil {
		return "", fmt.Errorf("ensemble: %s to %s: %w", word, addr, err)
	}
	return string(answer), nil
}

// Mode returns what a server says of itself: "leader", "follower" or "standalone"; an error if it does not serve.
func Mode(addr string) (string, error) { return srvr(addr, "Mode: ") }

// Zxid returns the newest zxid that a server has applied.
func Zxid(addr string) (int64, error) {
	v, err := srvr(addr, "Zxid: ")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(v, 0, 64)
}

// srvr returns the rest of the line that begins with key in a server's answer to srvr.
func srvr(addr, key string) (string, error) {
	answer, err := Word(addr, "srvr")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(answer) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), key); ok {
			return v, nil
		}
	}
	return "", fmt.Errorf("ensemble: %s does not serve: %s", addr, strings.TrimSpace(answer))
}
