package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy"
)

// loadProxy reads a policy file that has a section proxy.
func (p *place) loadProxy(c *cobra.Command) (*field.File, error) {
	file, err := p.load(c)
	if err != nil {
		return nil, err
	}
	switch {
	case file.Proxy == nil || file.Proxy.Upstream == "":
		return nil, fmt.Errorf("%s names no server; write proxy: {listen: 127.0.0.1:6432, upstream: postgres://HOST:5432}", p.config)
	case file.Proxy.Listen == "":
		return nil, fmt.Errorf("%s does not say where to listen; write proxy: {listen: 127.0.0.1:6432}", p.config)
	}
	return file, nil
}

// proxyConfig turns the file's section proxy into a server's configuration.
func (s *session) proxyConfig(p *place, log *slog.Logger) (cfg sqlproxy.Config, err error) {
	f := s.file.Proxy
	cfg = sqlproxy.Config{
		Policy: s.file.Policy, MaxConnections: f.Connections, Idle: f.Idle,
		Handshake: f.Handshake, Drain: f.Drain, AllowReplication: f.Replication, Log: log,
		AllowFunctionCalls: f.FunctionCalls, MaxStatement: f.MaxStatement, MaxMessage: f.MaxMessage,
	}
	for _, t := range f.Tenants {
		cfg.Tenants = append(cfg.Tenants, sqlproxy.Tenant{User: t.User, Database: t.Database, Tenant: t.Tenant})
	}
	if s.ring != nil {
		if cfg.Cipher, err = field.New(field.Config{Keyring: s.ring, Namespace: s.file.Namespace}); err != nil {
			return cfg, err
		}
	}
	if cfg.Upstream, cfg.SessionPooler, err = upstreamOf(f.Upstream); err != nil {
		return cfg, err
	}
	if cfg.Clients, err = clientsOf(f.TLS); err != nil {
		return cfg, err
	}
	cfg.Terminated, err = s.terminated(f.Auth, cfg.Upstream, p)
	return cfg, err
}

// upstreamOf reads the server's URL, whose words field.ParseFile has checked. pooled is set where it
// says that a pooler stands before the server.
func upstreamOf(text string) (u sqlproxy.Upstream, pooled bool, err error) {
	parsed, err := url.Parse(text)
	if err != nil {
		return u, pooled, errors.New("proxy.upstream is not a URL")
	}
	port := parsed.Port()
	if port == "" {
		port = "5432"
	}
	q := parsed.Query()
	pooled = q.Get("pooler") == "session"
	u.Address, u.Direct = net.JoinHostPort(parsed.Hostname(), port), q.Get("sslnegotiation") == "direct"
	if u.Mode, err = sqlproxy.ParseMode(q.Get("sslmode")); err != nil {
		return u, pooled, err
	}
	if path := q.Get("sslrootcert"); path != "" {
		if u.RootCAs, err = readPool(path, "sslrootcert of proxy.upstream"); err != nil {
			return u, pooled, err
		}
	}
	if q.Has("sslcert") || q.Has("sslkey") {
		u.Certificates, err = readPair(q.Get("sslcert"), q.Get("sslkey"), "sslcert and sslkey of proxy.upstream")
	}
	return u, pooled, err
}

func clientsOf(f field.ProxyTLS) (e sqlproxy.Encryption, err error) {
	e.Require = f.Require
	switch f.ClientName {
	case field.NoName:
	case field.CommonName:
		e.ClientName = sqlproxy.CommonName
	case field.AlternativeName:
		e.ClientName = sqlproxy.AlternativeName
	}
	for _, u := range f.ClientUsers {
		e.ClientUsers = append(e.ClientUsers, sqlproxy.CertUser{Name: u.Name, User: u.User})
	}
	if f.Cert != "" {
		if e.Certificates, err = readPair(f.Cert, f.Key, "proxy.tls"); err != nil {
			return e, err
		}
	}
	if f.ClientCA != "" {
		e.ClientCAs, err = readPool(f.ClientCA, "proxy.tls.client_ca")
	}
	return e, err
}

func readPair(cert, key, what string) ([]tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return []tls.Certificate{pair}, nil
}

func readPool(path, what string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM form", what, path)
	}
	return pool, nil
}
