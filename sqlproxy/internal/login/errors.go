package login

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Error is why a connection was not let in. Its text holds no password.
type Error struct {
	// SQLState, Message and Hint are what the client is told; Hint may be "".
	SQLState, Message, Hint string
	// Cause is for the log, and not told to the client; it may be nil.
	Cause error

	told bool // the client has had the server's own error
	away bool // the proxy found that the server does not do what it should
}

// ServerAtFault reports whether an operator must see to the server: it is dead, does not answer, or
// lets nobody in, neither this client nor the next.
func (e *Error) ServerAtFault() bool {
	if e.away || !e.told || len(e.SQLState) < 2 {
		return e.away
	}
	switch e.SQLState[:2] {
	case "53", "57", "58", "XX": // too little of something, starting or stopping, a disk, a bug
		return true
	}
	return false
}

// Error gives the message and its cause.
func (e *Error) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("login: %s (SQLSTATE %s)", e.Message, e.SQLState)
	}
	return fmt.Sprintf("login: %s (SQLSTATE %s): %v", e.Message, e.SQLState, e.Cause)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// body is the ErrorResponse's body for the client, as FATAL.
func (e *Error) body() []byte {
	var b []byte
	for _, field := range []struct {
		kind byte
		text string
	}{{'S', "FATAL"}, {'V', "FATAL"}, {'C', e.SQLState}, {'M', e.Message}, {'H', e.Hint}} {
		if field.text != "" {
			b = append(append(append(b, field.kind), strings.ReplaceAll(field.text, "\x00", "")...), 0)
		}
	}
	return append(b, 0)
}

// Response is the whole ErrorResponse.
func (e *Error) Response() []byte { return appendMessage(nil, msgError, e.body()) }

// The SQLSTATEs of this package.
const (
	stateProtocol      = "08P01"
	stateUnauthorized  = "28000"
	stateWrongPassword = "28P01"
	stateUnsupported   = "0A000"
	stateNotNow        = "57P03"
)

func protocolError(format string, args ...any) *Error {
	return &Error{SQLState: stateProtocol, Message: fmt.Sprintf(format, args...)}
}

func unauthorized(message, hint string) *Error {
	return &Error{SQLState: stateUnauthorized, Message: message, Hint: hint}
}

// serverError is what is told of a server that does not do what it should.
func (c *Config) serverError(what string, cause error) *Error {
	return &Error{
		SQLState: stateNotNow, Cause: cause, away: true,
		Message: fmt.Sprintf("the server %s %s", c.Upstream.Address, what),
	}
}

// fromServer reads a message of the server; it gives the error that the server sent as an *Error that
// has been told.
func (a *attempt) fromServer() (byte, []byte, error) {
	kind, body, err := a.server.message(maxServer)
	if err != nil {
		return 0, nil, a.config.serverError("does not answer", err)
	}
	if kind != msgError {
		return kind, body, nil
	}
	refusal := &Error{SQLState: errorField(body, 'C'), Message: errorField(body, 'M'), told: true}
	if err := a.client.send(msgError, body); err != nil {
		refusal.Cause = err
	}
	return 0, nil, refusal
}

// errorField gives a field of an ErrorResponse's body; "" where it has none.
func errorField(body []byte, kind byte) string {
	for len(body) > 0 && body[0] != 0 {
		text, rest, ok := cut(body[1:])
		if !ok {
			return ""
		}
		if body[0] == kind {
			return text
		}
		body = rest
	}
	return ""
}

// parting is how long the client may take to hear of an error.
const parting = 2 * time.Second

// fail tells the client what went wrong, unless it knows, and ends both connections.
func (a *attempt) fail(ctx context.Context, err error) error {
	defer a.close()
	var e *Error
	if !errors.As(err, &e) {
		// Reading from the client failed, or writing to it.
		e = &Error{SQLState: "08006", Message: "the client's connection was lost", Cause: err}
	}
	if ctx.Err() != nil && !e.told {
		e = a.late(ctx, e)
	}
	if !e.told {
		_ = a.client.conn.SetDeadline(time.Now().Add(parting))
		_ = a.client.send(msgError, e.body()) // the connection ends in any case
	}
	return e
}

// late is the error of a login that was cut short.
func (a *attempt) late(ctx context.Context, e *Error) *Error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Error{SQLState: stateNotNow, Message: "the proxy is shutting down", Cause: ctx.Err()}
	}
	if e.SQLState == stateNotNow {
		return a.config.serverError("does not answer in time", e.Cause)
	}
	return &Error{SQLState: stateUnauthorized, Message: "canceling authentication due to timeout", Cause: ctx.Err()}
}
