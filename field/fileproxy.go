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
}

// ProxyTLS names the files of the leg between clients and proxy.
type ProxyTLS struct {
	// Cert and Key are the proxy's certificate and key.
	Cert, Key string
	// ClientCA signs the certificates that clients must show; "" asks for none.
	ClientCA string
	// Require refuses clients that do not encrypt.
	Require bool
}

// ProxyAuth says where the proxy finds SCRAM verifiers of its users.
type ProxyAuth struct {
	// Users is a file with a line for each user; "" for none.
	Users string
	// Query gives the verifier of the user $1, asked on a connection of the
	// proxy's own; "" for none.
	Query string
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
)

var (
	proxyWords = words{accepted: []string{
		"listen", "upstream", "tls", "admin", "auth", "connections", "idle", "handshake", "drain", "tenants", "replication",
	}}
	proxyTLSWords    = words{accepted: []string{"cert", "key", "client_ca", "require"}}
	proxyAuthWords   = words{accepted: []string{"users", "query"}}
	proxyTenantWords = words{accepted: []string{"user", "database", "tenant"}}
	upstreamWords    = []string{"sslmode", "sslrootcert", "sslcert", "sslkey", "sslnegotiation", "pooler"}
	sslmodes         = []string{"verify-full", "verify-ca", "require", "disable"}
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

func (r *fileReader) proxyTLS(n *yamlNode) (t ProxyTLS) {
	values := r.mapping(n, proxyTLSWords)
	for name, into := range map[string]*string{"cert": &t.Cert, "key": &t.Key, "client_ca": &t.ClientCA} {
		if v := values[name]; v != nil {
			*into, _ = r.text(v)
		}
	}
	if v := values["require"]; v != nil {
		t.Require = r.boolean(v)
	}
	if (values["cert"] == nil || values["key"] == nil) && len(values) > 0 {
		r.fail(n, "needs both cert and key, each the path of a PEM file")
	}
	return t
}

func (r *fileReader) proxyAuth(n *yamlNode) (a ProxyAuth) {
	values := r.mapping(n, proxyAuthWords)
	for name, into := range map[string]*string{"users": &a.Users, "query": &a.Query} {
		if v := values[name]; v != nil {
			*into, _ = r.text(v)
		}
	}
	if len(values) > 1 {
		r.fail(n, "names both a file of users and a query; keep one")
	}
	return a
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
