// Package login brings a client's new connection to the point where it may
// send statements: encryption, protocol version, the server's connection,
// authentication.
package login

import (
	"context"
	"net"
)

// Pair is a client that is logged in, and its connection to the server.
type Pair struct {
	Client, Server net.Conn
	// User, Database and Options are those of the start-up message. Options holds all its parameters.
	User, Database string
	Options        map[string]string
	// Status holds the ParameterStatus values that the server sent, which the client has got too.
	Status map[string]string
	// Pending are bytes that were read behind the last message, by leg.
	FromClient, FromServer []byte
	// Done releases the cancel key; to be called when the session ends.
	Done func()
}

// Config says how clients and server are met.
type Config struct{}

// Login does all that is needed before the first statement. The server's first ReadyForQuery has been
// read and was not forwarded. It returns a nil Pair, and no error, for a connection that only wanted to
// cancel a query. What the client must be told of an error, it has been told.
func (c *Config) Login(ctx context.Context, client net.Conn) (*Pair, error) { panic("not built") }
