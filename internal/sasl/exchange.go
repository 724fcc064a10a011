package sasl

import (
	"errors"
	"fmt"
)

// Mechanism is one way to authenticate, as a server offers it. It is immutable and may be used by all connections at once.
type Mechanism interface {
	// Name is the mechanism's registered name.
	Name() string
	// Starts says whether a client's first token is one of this mechanism.
	Starts(token []byte) bool
	// Start begins a dialogue with one client.
	Start() Dialogue
}

// Dialogue is a mechanism's side of one authentication.
type Dialogue interface {
	// Step takes the client's token, which stays the caller's, and returns the server's answer, nil if there is none. user is not empty once
	// the client has proved to be it, and there is no further step then. After an error there is none either.
	Step(token []byte) (answer []byte, user string, err error)
}

var (
	// ErrRefused is returned when a client has not proved to be whom it says: an unknown user and a wrong password look the same.
	ErrRefused = errors.New("no such user, or a wrong password")

	errNoMechanism = errors.New("its first token is of no mechanism that this server has")
	errOver        = errors.New("it sent a token after the end of its authentication")
	errTooLong     = fmt.Errorf("a token is longer than %d bytes", MaxTokenBytes)
	errTooMany     = fmt.Errorf("an authentication of more than %d tokens", maxSteps)
)

// Exchange is the authentication of one connection. It is for one goroutine.
type Exchange struct {
	mechanisms []Mechanism
	dialogue   Dialogue // nil before the first token
	mechanism  string
	steps      int
	over       bool // done or failed
}

// NewExchange begins an authentication by one of the mechanisms.
func NewExchange(mechanisms []Mechanism) *Exchange { return &Exchange{mechanisms: mechanisms} }

// Mechanism is the name of the one that the client speaks; "" before its first token.
func (x *Exchange) Mechanism() string { return x.mechanism }

// Step takes the client's next token. user is not empty once the client has proved to be it. An error says what was wrong with the token, as the end
// of a log line; the exchange is over then.
func (x *Exchange) Step(token []byte) (answer []byte, user string, err error) {
	answer, user, err = x.step(token)
	if err != nil || user != "" {
		x.over, x.dialogue = true, nil
	}
	return answer, user, err
}

// choose is the mechanism of a first token; nil if it is of none. DIGEST-MD5 takes what no other one does: Java's server, and so ZooKeeper, does not look at what a client
// sends before the challenge.
func (x *Exchange) choose(token []byte) (last Mechanism) {
	for _, m := range x.mechanisms {
		if m.Starts(token) {
			return m
		}
		if m.Name() == nameDigest {
			last = m
		}
	}
	return last
}

func (x *Exchange) step(token []byte) (answer []byte, user string, err error) {
	x.steps++
	switch {
	case x.over:
		return nil, "", errOver
	case x.steps > maxSteps:
		return nil, "", errTooMany
	case len(token) > MaxTokenBytes:
		return nil, "", errTooLong
	}
	if x.dialogue == nil {
		m := x.choose(token)
		if m == nil {
			return nil, "", errNoMechanism
		}
		x.dialogue, x.mechanism = m.Start(), m.Name()
	}
	answer, user, err = x.dialogue.Step(token)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", x.mechanism, err)
	}
	return answer, user, nil
}
