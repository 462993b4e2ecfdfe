// Package login brings a client's new connection to the point where it may
// send statements: encryption, protocol version, the server's connection,
// authentication.
//
// Make a [Config] and call [Config.Login] for each connection that a listener
// accepts. Two ways of authentication are known. Pass-through relays what the
// server asks and what the client answers. Terminated SCRAM verifies the client
// in the proxy, which is what channel binding needs where both legs are
// encrypted, each with a certificate of its own; see [Terminated].
//
// Nothing here tries a second way when the first fails: a leg that is to be
// encrypted is encrypted, or the connection ends with an error.
package login

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"
)

// ErrSilent is wrapped by Login's error for a connection that ended before it said anything, as those of a
// balancer that looks whether the proxy is there.
var ErrSilent = errors.New("the connection ended before it began")

// DefaultHandshake is how long a login may take where Config.Handshake is 0.
const DefaultHandshake = 30 * time.Second

// Pair is a client that is logged in, and its connection to the server.
type Pair struct {
	Client, Server net.Conn
	// User, Database and Options are those of the start-up message. Options holds all its parameters.
	User, Database string
	Options        map[string]string
	// Status holds the ParameterStatus values that the server sent, which the client has got too.
	Status map[string]string
	// FromClient and FromServer are bytes that were read behind the last message, by leg.
	FromClient, FromServer []byte
	// Backend is the process id that the server gave with its cancel key; 0 where it gave none.
	Backend uint32
	// Minor is the minor version of the protocol that both sides speak: 0 or 2.
	Minor int
	// Cancel asks the server, over a connection of its own, to give up what the
	// session is doing. It returns when the server has taken the request.
	Cancel func(ctx context.Context) error
	// Done releases the cancel key; to be called when the session ends.
	Done func()
}

// Config says how clients and server are met. It must not change once in use;
// a new one with the same Sessions takes its place.
type Config struct {
	// Upstream is the server.
	Upstream Upstream
	// Encryption is the clients' leg.
	Encryption Encryption
	// Terminated verifies clients in the proxy; nil passes authentication through.
	Terminated *Terminated
	// Handshake bounds the time from the connection's beginning to the server's
	// first ReadyForQuery; 0 is DefaultHandshake.
	Handshake time.Duration
	// AllowReplication lets connections through that ask for the replication
	// protocol, whose stream the proxy does not read.
	AllowReplication bool
	// ExactNames refuses names of users and databases that are longer than the server's may be, because what follows
	// from them is decided here. It goes without saying where clients are verified by the proxy or by their certificates'
	// names.
	ExactNames bool
	// Sessions knows whose cancel key is whose. Several Configs may share one.
	// Required.
	Sessions *Sessions
	// Admit is asked once the start-up message is read, before the server is
	// dialled; nil admits everybody. Its error is told to the client; make it an
	// [*Error].
	Admit func(user, database string) error
}

// Login does all that is needed before the first statement. The server's first ReadyForQuery has been
// read and was not forwarded. It returns a nil Pair, and no error, for a connection that only wanted to
// cancel a query. What the client must be told of an error, it has been told.
//
// A request for the password in clear, or its MD5 hash, is refused if one leg is encrypted, or does not leave the
// machine, and the other is not: somebody relied on that encryption.
//
// Both connections are closed unless a Pair is returned. Errors are [*Error].
func (c *Config) Login(ctx context.Context, client net.Conn) (*Pair, error) {
	limit := c.Handshake
	if limit == 0 {
		limit = DefaultHandshake
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	a := &attempt{config: c, client: newLeg(client)}
	a.guard(client)
	stop := context.AfterFunc(ctx, a.interrupt)
	pair, err := a.run(ctx)
	if err == nil && !stop() {
		err = ctx.Err()
	}
	if err != nil {
		stop()
		return nil, a.fail(ctx, err)
	}
	if pair == nil {
		a.close()
	}
	return pair, nil
}

// attempt is one connection on its way in.
type attempt struct {
	config  *Config
	client  *leg
	server  *leg
	startup *startup
	address string // of the server, as dialled

	// certificate is the proxy's own, as this client was shown it; nil without encryption.
	certificate []byte
	// sessionKey is the body of the server's BackendKeyData.
	sessionKey []byte
	status     map[string]string

	mu          sync.Mutex
	conns       []net.Conn
	interrupted bool
}

func (a *attempt) run(ctx context.Context) (*Pair, error) {
	packet, err := a.negotiate(ctx)
	if err != nil {
		return nil, err
	}
	if packet.cancel != nil {
		return nil, a.config.cancel(ctx, packet.cancel)
	}
	if a.startup, err = a.admit(packet); err != nil {
		return nil, err
	}
	if a.config.Terminated != nil {
		err = a.terminate(ctx)
	} else {
		err = a.passThrough(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := a.settle(); err != nil {
		return nil, err
	}
	return a.pair()
}

// pair hands both legs over, free of deadlines.
func (a *attempt) pair() (*Pair, error) {
	p := &Pair{
		Client: a.client.conn, Server: a.server.conn,
		User: a.startup.user, Database: a.startup.database, Options: a.startup.parameters,
		Status: a.status, Minor: a.startup.minor,
		FromClient: a.client.rest(), FromServer: a.server.rest(),
		Cancel: func(context.Context) error { return nil },
		Done:   func() {},
	}
	if key := a.sessionKey; key != nil {
		at := place{&a.config.Upstream, a.address} // not a, whose buffers nobody needs any more
		p.Backend = binary.BigEndian.Uint32(key)
		p.Cancel = func(ctx context.Context) error { return at.cancel(ctx, key) }
		p.Done = a.config.Sessions.add(key, at)
	}
	return p, nil
}

// guard has a connection interrupted with the attempt.
func (a *attempt) guard(conn net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conns = append(a.conns, conn)
	if a.interrupted {
		_ = conn.SetDeadline(past)
	}
}

// interrupt makes whatever reads or writes return.
func (a *attempt) interrupt() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.interrupted = true
	for _, conn := range a.conns {
		_ = conn.SetDeadline(past)
	}
}

func (a *attempt) close() {
	_ = a.client.conn.Close()
	if a.server != nil {
		_ = a.server.conn.Close()
	}
}

// past is a deadline that has gone by on every clock.
var past = time.Unix(1, 0)

// Validate says what is wrong with the configuration.
func (c *Config) Validate() error {
	if c.Sessions == nil {
		return errors.New("login: Config.Sessions is missing")
	}
	if err := c.Encryption.validate(); err != nil {
		return err
	}
	if c.Terminated != nil {
		return c.Terminated.validate()
	}
	return nil
}
