package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy"
)

// terminated is how the proxy verifies clients itself; nil where the file does not say so.
func (s *session) terminated(f field.ProxyAuth, upstream sqlproxy.Upstream, p *place) (*sqlproxy.Terminated, error) {
	if f.Users == "" && f.Query == "" {
		return nil, nil
	}
	t := &sqlproxy.Terminated{MockIterations: f.Mock.Iterations}
	var err error
	if t.Service, err = serviceOf(f.Service); err != nil {
		return nil, err
	}
	if path := f.Mock.SecretFile; path != "" {
		if t.MockSecret, err = readSecret(path, "proxy.auth.mock.secret_file"); err != nil {
			return nil, err
		}
		if len(t.MockSecret) == 0 {
			return nil, fmt.Errorf("proxy.auth.mock.secret_file: %s is empty; write 16 random bytes or more into it", path)
		}
	}
	if f.Users != "" {
		t.Verifiers, err = sqlproxy.ReadVerifierFile(f.Users)
	} else {
		t.Verifiers, err = s.authQuery(f.Query, upstream, p)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (s *session) authQuery(sql string, upstream sqlproxy.Upstream, p *place) (sqlproxy.Verifiers, error) {
	if p.dsn == "" {
		return nil, errors.New("proxy.auth.query is asked on a connection of the proxy's own, and --dsn names none; give --dsn postgres://…")
	}
	if sql == "default" {
		sql = sqlproxy.DefaultAuthQuery
	}
	cfg, err := pgconn.ParseConfig(p.dsn)
	if err != nil {
		return nil, errors.New("--dsn cannot be read as a connection string")
	}
	query, err := sqlproxy.NewAuthQuery(&sqlproxy.AuthQuery{
		Upstream: upstream, Credential: sqlproxy.Credential{User: cfg.User, Password: cfg.Password},
		Database: cfg.Database, SQL: sql,
	})
	if err != nil {
		return nil, err
	}
	s.verifiers = query
	return query, nil
}

// serviceOf is whom the proxy logs in as; nil for the clients themselves. Without a password it shows its certificate
// alone, or what the server trusts.
func serviceOf(f field.ProxyService) (*sqlproxy.Credential, error) {
	c := &sqlproxy.Credential{User: f.User}
	switch {
	case f.User == "":
		return nil, nil
	case f.PasswordEnv != "":
		if c.Password = os.Getenv(f.PasswordEnv); c.Password == "" {
			return nil, fmt.Errorf("proxy.auth.service.password_env: the environment has no variable %s, or an empty one", f.PasswordEnv)
		}
	case f.PasswordFile != "":
		text, err := readSecret(f.PasswordFile, "proxy.auth.service.password_file")
		if err != nil {
			return nil, err
		}
		c.Password = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
		if c.Password == "" || strings.Contains(c.Password, "\n") {
			return nil, fmt.Errorf("proxy.auth.service.password_file: %s does not hold one line with a password", f.PasswordFile)
		}
	}
	return c, nil
}

// maxSecret bounds secrets in files, in bytes.
const maxSecret = 64 << 10

// readSecret reads a file that others must not be able to read. Its group may, as secrets that are mounted
// into containers have one.
func readSecret(path, what string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", what, err)
	case !info.Mode().IsRegular() || info.Size() > maxSecret:
		return nil, fmt.Errorf("%s: %s is not a file of at most %d bytes", what, path, maxSecret)
	case info.Mode().Perm()&0o007 != 0:
		return nil, fmt.Errorf("%s: others can read or write %s; run: chmod o= %s", what, path, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return text, nil
}
