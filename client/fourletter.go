package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"time"
)

// FourLetterWord asks one server ("host:port") one of ZooKeeper's four-letter words (ruok, srvr, stat, mntr, …) over a
// connection of its own and returns all of the answer. An empty answer means that the server does not have the word on its white list, or
// is shutting down.
func FourLetterWord(ctx context.Context, server, word string) (string, error) {
	return fourLetterWord(ctx, server, word, nil)
}

// FourLetterWordTLS is FourLetterWord over TLS; config is used as Options.TLS is.
func FourLetterWordTLS(ctx context.Context, server, word string, config *tls.Config) (string, error) {
	return fourLetterWord(ctx, server, word, config)
}

func fourLetterWord(ctx context.Context, server, word string, config *tls.Config) (string, error) {
	if len(word) != 4 {
		return "", fmt.Errorf("client: %q is not a four-letter word", word)
	}
	addr, err := parseServer(server)
	if err != nil {
		return "", fmt.Errorf("client: %w", err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	dialled := conn
	defer dialled.Close()
	stop := context.AfterFunc(ctx, func() { _ = dialled.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if config != nil {
		if conn, err = secure(ctx, conn, config, addr); err != nil {
			return "", err
		}
	}
	if _, err := conn.Write([]byte(word)); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, fourLetterReplyBytes))
	if err != nil && len(answer) == 0 {
		return "", err
	}
	return string(answer), nil // a reset after the answer is how some servers hang up
}
