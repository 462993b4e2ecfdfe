package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy"
)

// usersFile writes a file with the verifier of a user and returns its path.
func usersFile(t *testing.T, dir string) string {
	t.Helper()
	write(t, dir+"/users.txt", "alice SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$"+
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	return dir + "/users.txt"
}

// configOf is the server's configuration of a section proxy.
func configOf(t *testing.T, f *field.Proxy) (sqlproxy.Config, error) {
	t.Helper()
	f.Upstream = "postgres://db.example?sslmode=disable"
	policy, err := field.NewPolicy()
	if err != nil {
		t.Fatal(err)
	}
	s := &session{file: &field.File{Policy: policy, Proxy: f}}
	return s.proxyConfig(&place{}, slog.New(slog.DiscardHandler))
}

func TestTheAuthQueryMayBeTheDefault(t *testing.T) {
	for word, want := range map[string]string{"default": sqlproxy.DefaultAuthQuery, "SELECT own($1)": "SELECT own($1)"} {
		s := &session{}
		if _, err := s.authQuery(word, sqlproxy.Upstream{}, &place{dsn: "postgres://proxy@db.example/postgres"}); err != nil {
			t.Fatal(err)
		}
		if got := s.verifiers.(*sqlproxy.AuthQuery).SQL; got != want {
			t.Errorf("%s asks %s", word, got)
		}
	}
}

func TestTheServiceLogsInWithAPasswordFromElsewhere(t *testing.T) {
	dir := t.TempDir()
	users := usersFile(t, dir)
	t.Setenv("ROWSEAL_TEST_PASSWORD", "canary of the environment")
	t.Setenv("ROWSEAL_TEST_EMPTY", "")
	for name, tt := range map[string]struct {
		text    string
		mode    os.FileMode
		service field.ProxyService
		want    string
		fails   string
	}{
		"the environment":           {service: field.ProxyService{PasswordEnv: "ROWSEAL_TEST_PASSWORD"}, want: "canary of the environment"},
		"an empty variable":         {service: field.ProxyService{PasswordEnv: "ROWSEAL_TEST_EMPTY"}, fails: "no variable ROWSEAL_TEST_EMPTY"},
		"a file":                    {text: "canary of a file", mode: 0o600},
		"a line":                    {text: "canary of a file\n", mode: 0o640, want: "canary of a file"},
		"a line of Windows":         {text: "canary of a file\r\n", mode: 0o400, want: "canary of a file"},
		"blanks belong to it":       {text: " canary \n", mode: 0o600, want: " canary "},
		"two lines":                 {text: "canary\ncanary\n", mode: 0o600, fails: "does not hold one line"},
		"an empty file":             {text: "\n", mode: 0o600, fails: "does not hold one line"},
		"a file that others read":   {text: "canary", mode: 0o604, fails: "chmod o="},
		"a file that is too long":   {text: strings.Repeat("canary", 20_000), mode: 0o600, fails: "is not a file of at most"},
		"a file that is not there":  {fails: "no such file"},
		"a folder":                  {service: field.ProxyService{PasswordFile: dir}, fails: "is not a file"},
		"a password outside ASCII":  {text: "canäry", mode: 0o600, fails: "is not ASCII"},
		"no password, a trusted OS": {service: field.ProxyService{User: "service"}},
	} {
		t.Run(name, func(t *testing.T) {
			service := tt.service
			if service == (field.ProxyService{}) {
				service.PasswordFile = t.TempDir() + "/password"
				if tt.mode != 0 {
					write(t, service.PasswordFile, tt.text)
					if err := os.Chmod(service.PasswordFile, tt.mode); err != nil {
						t.Fatal(err)
					}
				}
			}
			service.User = "service"
			cfg, err := configOf(t, &field.Proxy{Auth: field.ProxyAuth{Users: users, Service: service}})
			if err == nil {
				_, err = sqlproxy.New(cfg)
			}
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) || strings.Contains(err.Error(), "canary") {
					t.Errorf("got %v, want %s and no password", err, tt.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				tt.want = tt.text
			}
			if got := cfg.Terminated.Service; got.User != "service" || got.Password != tt.want {
				t.Error("another credential came of it")
			}
		})
	}
}

func TestClientsLogInAsThemselvesUnlessAServiceIsNamed(t *testing.T) {
	dir := t.TempDir()
	secret := dir + "/mock"
	write(t, secret, "sixteen random bytes")
	if err := os.Chmod(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	f := &field.Proxy{Auth: field.ProxyAuth{Users: usersFile(t, dir), Mock: field.ProxyMock{SecretFile: secret, Iterations: 10000}}}
	cfg, err := configOf(t, f)
	if err != nil {
		t.Fatal(err)
	}
	got := cfg.Terminated
	if got.Service != nil || got.Verifiers == nil || string(got.MockSecret) != "sixteen random bytes" || got.MockIterations != 10000 {
		t.Errorf("got %+v", got)
	}
	for text, says := range map[string]string{"": "is empty", "short": "at least 16"} {
		write(t, secret, text)
		cfg, err := configOf(t, f)
		if err == nil {
			_, err = sqlproxy.New(cfg)
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLimitsAndNamesOfCertificatesReachTheServer(t *testing.T) {
	dir := t.TempDir()
	selfSigned(t, dir+"/own.crt", dir+"/own.key")
	for name, want := range map[field.ProxyName]sqlproxy.CertName{
		field.NoName: sqlproxy.NoName, field.CommonName: sqlproxy.CommonName, field.AlternativeName: sqlproxy.AlternativeName,
	} {
		f := &field.Proxy{
			FunctionCalls: true, MaxStatement: 2 << 10, MaxMessage: 3 << 10,
			TLS: field.ProxyTLS{Cert: dir + "/own.crt", Key: dir + "/own.key", ClientCA: dir + "/own.crt", ClientName: name},
		}
		var users []sqlproxy.CertUser
		if name != field.NoName {
			f.TLS.ClientUsers = []field.ProxyNamed{{Name: "app.example", User: "app"}}
			users = []sqlproxy.CertUser{{Name: "app.example", User: "app"}}
		}
		cfg, err := configOf(t, f)
		if err != nil {
			t.Fatal(err)
		}
		if !cfg.AllowFunctionCalls || cfg.MaxStatement != 2<<10 || cfg.MaxMessage != 3<<10 {
			t.Errorf("got %+v", cfg)
		}
		if cfg.Clients.ClientName != want || !reflect.DeepEqual(cfg.Clients.ClientUsers, users) || cfg.Clients.ClientCAs == nil {
			t.Errorf("name %d: %+v", name, cfg.Clients)
		}
		if _, err := sqlproxy.New(cfg); err != nil {
			t.Error(err)
		}
	}
}

// selfSigned writes a certificate and its key.
func selfSigned(t *testing.T, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})))
}
