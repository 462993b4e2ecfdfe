package sqlproxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/login"
)

// Upstream is the server, and how the proxy reaches it. Its zero Mode verifies
// the server's certificate and name.
//
//	Address       string              host and port, or the path of a Unix socket; required
//	Mode          Mode                how the leg is encrypted; the zero value is VerifyFull
//	Direct        bool                TLS from the first byte on, without a request (PostgreSQL 17 and newer)
//	ServerName    string              the name that VerifyFull looks for; "" is the host of Address
//	RootCAs       *x509.CertPool      whose signatures count; nil is the system's
//	Certificates  []tls.Certificate   the proxy's own, for servers that ask for one
//	Dial          func(ctx context.Context, network, address string) (net.Conn, error)   nil is the standard library's
type Upstream = login.Upstream

// Encryption is the leg between clients and proxy. Its zero value has none.
//
//	Certificates  []tls.Certificate   the proxy's own, with their keys; none refuses TLS
//	ClientCAs     *x509.CertPool      if set, encrypted clients show a certificate that one of these signed
//	Require       bool                refuses clients that do not encrypt
//	ClientName    CertName            if set, whose certificate it is must be the user; needs ClientCAs
//	ClientUsers   []CertUser          if not nil, the users that a name may be
type Encryption = login.Encryption

// CertName says which names of a client's certificate are its user's, for Encryption.ClientName.
type CertName = login.CertName

// The names.
const (
	NoName          = login.NoName
	CommonName      = login.CommonName
	AlternativeName = login.AlternativeName
)

// CertUser lets certificates of a name log in as a user, for Encryption.ClientUsers. Its fields are Name and User.
type CertUser = login.CertUser

// Terminated has the proxy verify clients itself by SCRAM-SHA-256, which
// channel binding needs where both legs are encrypted.
//
//	Verifiers       Verifiers     the users'; required
//	Service         *Credential   if set, whom the proxy logs in as, whoever the client is
//	MockSecret      []byte        makes the salts of users who do not exist; empty is a random one, else 16 bytes or more
//	MockIterations  int           what such users are shown; 0 is 4096
type Terminated = login.Terminated

// Mode says how the leg between proxy and server is encrypted.
type Mode = login.Mode

// The modes, by libpq's words.
const (
	VerifyFull = login.VerifyFull
	VerifyCA   = login.VerifyCA
	Require    = login.Require
	Disable    = login.Disable
)

// ParseMode reads libpq's word for a mode; "" is VerifyFull. prefer and allow,
// which may fall back to clear text, are refused.
func ParseMode(word string) (Mode, error) { return login.ParseMode(word) }

// Defaults of Config.
const (
	DefaultMaxConnections = 1000
	DefaultDrain          = 30 * time.Second
	DefaultHandshake      = login.DefaultHandshake
)

// Config says what a Server does. All but Upstream.Address may be left at zero.
type Config struct {
	// Upstream is the server. Required.
	Upstream Upstream
	// SessionPooler says that a connection pooler stands between proxy and server, which must leave
	// each client its server connection until the client ends (PgBouncer's pool_mode = session). Otherwise,
	// where the policy seals anything, sessions behind a pooler are refused (08004).
	SessionPooler bool
	// Clients is the leg between clients and proxy.
	Clients Encryption
	// Terminated verifies clients in the proxy; nil passes what the server asks on to them.
	Terminated *Terminated

	// Policy says which columns are sealed; nil seals none.
	Policy *field.Policy
	// Cipher seals and opens; required where the policy has tables.
	Cipher *field.Cipher
	// Tenants fix a session's tenant by user and database; the first that fits counts.
	Tenants []Tenant

	// AllowReplication lets replication connections through, which see sealed bytes only.
	AllowReplication bool
	// MaxConnections bounds sessions; those above it are answered 53300. 0 is
	// DefaultMaxConnections, less is no bound.
	MaxConnections int
	// Handshake bounds a login; 0 is DefaultHandshake.
	Handshake time.Duration
	// Idle ends sessions (57P05) whose client says nothing for so long outside of a
	// transaction, even if it listens for notifications; 0 lets them be.
	Idle time.Duration
	// AllowFunctionCalls lets the protocol's FunctionCall through where the policy seals anything; no analysis
	// sees its arguments.
	AllowFunctionCalls bool
	// MaxStatement bounds a statement's text, in bytes; 0 is 16 MB. Longer ones are refused (54000).
	MaxStatement int
	// MaxMessage bounds other messages that hold sealed values, in bytes; 0 is 160 MB. Those with none
	// are not held and have no bound.
	MaxMessage int
	// Drain bounds how long Shutdown waits for transactions to end, beside its
	// context; 0 is DefaultDrain, less waits for its context alone.
	Drain time.Duration
	// Log takes what happens; nil discards it. No statement and no value is ever logged.
	Log *slog.Logger
}

// Tenant fixes the tenant of sessions, so that SET rowseal.tenant cannot change it.
type Tenant struct {
	// User and Database are what the client's start-up message names; "" fits all.
	User, Database string
	// Tenant is theirs. Required.
	Tenant string
}

// tenant gives the tenant that is fixed for a user and a database; "" where none is.
func (c *Config) tenant(user, database string) string {
	for _, t := range c.Tenants {
		if (t.User == "" || t.User == user) && (t.Database == "" || t.Database == database) {
			return t.Tenant
		}
	}
	return ""
}

// validate fills defaults in and says what is wrong, all of it at once.
func (c *Config) validate() error {
	var errs []error
	complain := func(format string, args ...any) { errs = append(errs, fmt.Errorf("sqlproxy: "+format, args...)) }
	if c.Upstream.Address == "" {
		complain("Upstream.Address is missing; set it to host:port or to a socket's path")
	} else if !strings.HasPrefix(c.Upstream.Address, "/") {
		if _, _, err := net.SplitHostPort(c.Upstream.Address); err != nil {
			complain("Upstream.Address %q is not host:port", c.Upstream.Address)
		}
	} else if c.Upstream.Mode != Disable {
		complain("Upstream.Address is a Unix socket, which is not encrypted; set Upstream.Mode to Disable")
	}
	if c.Upstream.Direct && c.Upstream.Mode == Disable {
		complain("Upstream.Direct needs encryption; set Upstream.Mode")
	}
	if c.Upstream.Mode < VerifyFull || c.Upstream.Mode > Disable {
		complain("Upstream.Mode %d is unknown", c.Upstream.Mode)
	}
	if len(c.Clients.Certificates) == 0 && (c.Clients.Require || c.Clients.ClientCAs != nil) {
		complain("Clients asks for encryption but has no certificate; set Clients.Certificates")
	}
	if c.Policy != nil && len(c.Policy.Tables()) > 0 && c.Cipher == nil {
		complain("Policy seals columns but Cipher is missing")
	}
	for i, t := range c.Tenants {
		if t.Tenant == "" {
			complain("Tenants[%d] names no tenant", i)
		}
	}
	for name, d := range map[string]time.Duration{"Handshake": c.Handshake, "Idle": c.Idle} {
		if d < 0 {
			complain("%s is negative", name)
		}
	}
	if c.MaxMessage < 0 || c.MaxStatement < 0 {
		complain("MaxMessage and MaxStatement must not be negative")
	}
	c.defaults()
	return errors.Join(errs...)
}

func (c *Config) defaults() {
	if c.MaxConnections == 0 {
		c.MaxConnections = DefaultMaxConnections
	}
	if c.Drain == 0 {
		c.Drain = DefaultDrain
	}
	if c.Handshake == 0 {
		c.Handshake = DefaultHandshake
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}
