package field

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Proxy is the section `proxy` of a policy file. Zero values mean that the file
// is silent and the default of package sqlproxy applies.
type Proxy struct {
	// Listen is the address that clients connect to, host:port.
	Listen string
	// Upstream is the server's URL, postgres://host:port with the parameters
	// sslmode, sslrootcert, sslcert, sslkey, sslnegotiation and pooler.
	Upstream string
	// TLS is the leg between clients and proxy; zero is none.
	TLS ProxyTLS
	// Admin is the address of /healthz, /readyz and /metrics; "" is none.
	Admin string
	// Auth has the proxy verify clients itself; zero passes authentication through.
	Auth ProxyAuth
	// Connections bounds the sessions.
	Connections int
	// Idle ends sessions that are silent for so long outside of a transaction.
	Idle time.Duration
	// Handshake bounds a login.
	Handshake time.Duration
	// Drain bounds how long transactions may go on once the proxy is told to stop.
	Drain time.Duration
	// Tenants fix a session's tenant, the first that fits.
	Tenants []ProxyTenant
	// Replication lets replication connections through.
	Replication bool
	// FunctionCalls lets the protocol's FunctionCall messages through.
	FunctionCalls bool
	// MaxStatement bounds the text of a statement, MaxMessage other messages with sealed values, in bytes.
	MaxStatement, MaxMessage int
}

// ProxyTLS names the files of the leg between clients and proxy.
type ProxyTLS struct {
	// Cert and Key are the proxy's certificate and key.
	Cert, Key string
	// ClientCA signs the certificates that clients must show; "" asks for none.
	ClientCA string
	// Require refuses clients that do not encrypt.
	Require bool
	// ClientName says which name of a client's certificate must be its user's.
	ClientName ProxyName
	// ClientUsers, if any, are the users that a name may be; a name that is not listed is none.
	ClientUsers []ProxyNamed
}

// ProxyName says which names of a client's certificate are its user's.
type ProxyName int

const (
	// NoName lets every certificate stand for every user.
	NoName ProxyName = iota
	// CommonName is the subject's CN.
	CommonName
	// AlternativeName is any DNS name, e-mail address or URI of the certificate.
	AlternativeName
)

// ProxyNamed lets certificates of a name log in as a user.
type ProxyNamed struct{ Name, User string }

// ProxyAuth says where the proxy finds SCRAM verifiers of its users.
type ProxyAuth struct {
	// Users is a file with a line for each user; "" for none.
	Users string
	// Query gives the verifier of the user $1, asked on a connection of the
	// proxy's own; "default" for the proxy's own query, "" for none.
	Query string
	// Service is whom the proxy logs in to the server as; without a user it is the client's own.
	Service ProxyService
	// Mock is what users are shown who do not exist.
	Mock ProxyMock
}

// ProxyService is a user of the server, and where its password stands. The file itself holds none.
type ProxyService struct {
	User string
	// PasswordFile is a file with the password on its only line, PasswordEnv the name of an environment
	// variable. At most one is set.
	PasswordFile, PasswordEnv string
}

// ProxyMock makes the verifiers that users are shown who do not exist.
type ProxyMock struct {
	// SecretFile is a file whose bytes make the salts; "" has each proxy make up its own at its start.
	SecretFile string
	// Iterations is what the verifiers of real users have; 0 is the server's default.
	Iterations int
}

// ProxyTenant fixes the tenant of sessions.
type ProxyTenant struct {
	// User and Database are what the client's start-up message names; "" fits all.
	User, Database string
	Tenant         string
}

// Bounds of the section.
const (
	maxConnections = 100_000
	maxWait        = 24 * time.Hour
	minSize        = 1 << 10
	maxSize        = 1 << 30 // the server takes no longer message
	maxIterations  = 10_000_000
)

var (
	proxyWords = words{accepted: []string{
		"listen", "upstream", "tls", "admin", "auth", "connections", "idle", "handshake", "drain", "tenants", "replication",
		"function_calls", "max_statement", "max_message",
	}}
	proxyTLSWords     = words{accepted: []string{"cert", "key", "client_ca", "require", "client_name", "client_users"}}
	proxyNameWords    = words{accepted: []string{"cn", "san"}} // in the order of ProxyName
	proxyNamedWords   = words{accepted: []string{"name", "user"}}
	proxyAuthWords    = words{accepted: []string{"users", "query", "service", "mock"}}
	proxyServiceWords = words{accepted: []string{"user", "password_file", "password_env"}}
	proxyMockWords    = words{accepted: []string{"secret_file", "iterations"}}
	proxyTenantWords  = words{accepted: []string{"user", "database", "tenant"}}
	functionCallWords = words{accepted: []string{"refuse", "allow"}}
	upstreamWords     = []string{"sslmode", "sslrootcert", "sslcert", "sslkey", "sslnegotiation", "pooler"}
	sslmodes          = []string{"verify-full", "verify-ca", "require", "disable"}
)

func (r *fileReader) proxy(n *yamlNode) *Proxy {
	p := &Proxy{}
	values := r.mapping(n, proxyWords)
	for name, into := range map[string]*string{"listen": &p.Listen, "admin": &p.Admin} {
		if v := values[name]; v != nil {
			*into = r.address(v)
		}
	}
	for name, into := range map[string]*time.Duration{"idle": &p.Idle, "handshake": &p.Handshake, "drain": &p.Drain} {
		if v := values[name]; v != nil {
			*into = r.duration(v, maxWait)
		}
	}
	if v := values["upstream"]; v != nil {
		p.Upstream = r.upstream(v)
	}
	if v := values["tls"]; v != nil {
		p.TLS = r.proxyTLS(v)
	}
	if v := values["auth"]; v != nil {
		p.Auth = r.proxyAuth(v)
	}
	if v := values["connections"]; v != nil {
		p.Connections = r.integer(v, 1, maxConnections)
	}
	if v := values["tenants"]; v != nil {
		p.Tenants = r.proxyTenants(v)
	}
	if v := values["replication"]; v != nil {
		p.Replication = r.boolean(v)
	}
	if v := values["function_calls"]; v != nil {
		p.FunctionCalls = r.word(v, functionCallWords) == 1
	}
	for name, into := range map[string]*int{"max_statement": &p.MaxStatement, "max_message": &p.MaxMessage} {
		if v := values[name]; v != nil {
			*into = r.size(v, minSize, maxSize)
		}
	}
	return p
}

// address reads host:port; an empty host is all of the machine's addresses.
func (r *fileReader) address(n *yamlNode) string {
	s, ok := r.text(n)
	if _, port, err := net.SplitHostPort(s); ok && (err != nil || port == "") {
		r.fail(n, "is not an address; accepted: host:port, as in 127.0.0.1:6432")
		return ""
	}
	return s
}

// upstream does not repeat the value in errors: it may hold a password.
func (r *fileReader) upstream(n *yamlNode) string {
	s, ok := r.text(n)
	if !ok {
		return ""
	}
	const accepted = "; accepted: postgres://host:port?sslmode=verify-full"
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "postgres" && u.Scheme != "postgresql":
		r.fail(n, "is not a server's URL"+accepted)
	case u.User != nil:
		r.fail(n, "names a user, but clients log in as themselves; give the proxy's own connection with --dsn")
	case strings.Trim(u.Path, "/") != "":
		r.fail(n, "names a database, but clients choose theirs"+accepted)
	default:
		return r.upstreamQuery(n, s, u)
	}
	return ""
}

func (r *fileReader) upstreamQuery(n *yamlNode, s string, u *url.URL) string {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		r.fail(n, "has parameters that cannot be read")
		return ""
	}
	for name, v := range values {
		switch {
		case !slices.Contains(upstreamWords, name):
			r.fail(n, "has the unknown parameter %s%s; accepted: %s", shown(name), hint(name, upstreamWords), strings.Join(upstreamWords, ", "))
		case name == "sslmode" && !slices.Contains(sslmodes, v[0]):
			r.fail(n, "has an sslmode that may fall back to clear text or is unknown; accepted: %s", strings.Join(sslmodes, ", "))
		case name == "sslnegotiation" && v[0] != "postgres" && v[0] != "direct":
			r.fail(n, "has an unknown sslnegotiation; accepted: postgres, direct")
		case name == "pooler" && v[0] != "session":
			r.fail(n, "has an unknown pooler; accepted: session (a pooler that shares connections by transaction can stand before the proxy only)")
		default:
			continue
		}
		return ""
	}
	return s
}

func (r *fileReader) proxyTenants(n *yamlNode) (list []ProxyTenant) {
	if n.kind != yamlSequence || len(n.items) == 0 {
		r.fail(n, "is no list; accepted: [{user: NAME, database: NAME, tenant: TENANT}]")
		return nil
	}
	for _, item := range n.items {
		var t ProxyTenant
		values := r.mapping(item, proxyTenantWords)
		for name, into := range map[string]*string{"user": &t.User, "database": &t.Database} {
			if v := values[name]; v != nil {
				*into, _ = r.text(v)
			}
		}
		switch v := values["tenant"]; {
		case v == nil:
			r.fail(item, "names no tenant")
		case t.User == "" && t.Database == "":
			r.fail(item, "names neither user nor database; name one, or write tenant: {default: …} for all")
		default:
			t.Tenant, _ = r.id(v)
		}
		list = append(list, t)
	}
	return list
}
