package login

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/sqlproxy/internal/testpki"
)

// named is a certificate with names of all kinds.
func named(cns ...string) *x509.Certificate {
	cert := &x509.Certificate{
		DNSNames: []string{"app.example", "other.example"}, EmailAddresses: []string{"me@app.example"},
		URIs: []*url.URL{{Scheme: "spiffe", Host: "example", Path: "/app"}},
	}
	cert.Subject.Names = append(cert.Subject.Names, pkix.AttributeTypeAndValue{Type: []int{2, 5, 4, 10}, Value: "organisation"})
	for _, cn := range cns {
		cert.Subject.Names = append(cert.Subject.Names, pkix.AttributeTypeAndValue{Type: commonName, Value: cn})
		cert.Subject.CommonName = cn
	}
	return cert
}

func TestCertificatesNameUsers(t *testing.T) {
	listed := []CertUser{{"app.example", "app"}, {"app.example", "reports"}, {"spiffe://example/app", "app"}}
	for _, tt := range []struct {
		name  string
		e     Encryption
		cert  *x509.Certificate
		user  string
		fails string
	}{
		{"no name is asked", Encryption{}, nil, "bob", ""},
		{"the CN is the user", Encryption{ClientName: CommonName}, named("alice"), "alice", ""},
		{"the CN is another", Encryption{ClientName: CommonName}, named("alice"), "bob", "certificate authentication failed"},
		{"the CN in other capitals", Encryption{ClientName: CommonName}, named("Alice"), "alice", "certificate authentication failed"},
		{"a longer CN", Encryption{ClientName: CommonName}, named("alice\x00.example"), "alice", "certificate authentication failed"},
		{"another attribute", Encryption{ClientName: CommonName}, named("alice"), "organisation", "certificate authentication failed"},
		{"an alternative name is no CN", Encryption{ClientName: CommonName}, named("alice"), "app.example", "certificate authentication failed"},
		{"no CN", Encryption{ClientName: CommonName}, named(), "alice", "certificate authentication failed"},
		{"two CNs, the first", Encryption{ClientName: CommonName}, named("alice", "bob"), "alice", "certificate authentication failed"},
		{"two CNs, the last", Encryption{ClientName: CommonName}, named("alice", "bob"), "bob", "certificate authentication failed"},
		{"no certificate", Encryption{ClientName: CommonName}, nil, "alice", "requires a valid client certificate"},
		{"a DNS name", Encryption{ClientName: AlternativeName}, named("alice"), "other.example", ""},
		{"an e-mail address", Encryption{ClientName: AlternativeName}, named("alice"), "me@app.example", ""},
		{"a URI", Encryption{ClientName: AlternativeName}, named("alice"), "spiffe://example/app", ""},
		{"the CN is no alternative name", Encryption{ClientName: AlternativeName}, named("alice"), "alice", "certificate authentication failed"},
		{"a listed user", Encryption{ClientName: AlternativeName, ClientUsers: listed}, named(), "app", ""},
		{"a second listed user", Encryption{ClientName: AlternativeName, ClientUsers: listed}, named(), "reports", ""},
		{"a name that is listed for others", Encryption{ClientName: AlternativeName, ClientUsers: listed}, named(), "app.example", "certificate authentication failed"},
		{"a name that is not listed", Encryption{ClientName: AlternativeName, ClientUsers: listed}, named(), "other.example", "certificate authentication failed"},
		{"a list of none", Encryption{ClientName: CommonName, ClientUsers: []CertUser{}}, named("alice"), "alice", "certificate authentication failed"},
		{"another's listed user", Encryption{ClientName: CommonName, ClientUsers: listed}, named("alice"), "app", "certificate authentication failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.e.checkUser(tt.cert, tt.user)
			if tt.fails == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || e.SQLState != "28000" || !strings.Contains(e.Message, tt.fails) {
				t.Errorf("got %v, want 28000 %s", err, tt.fails)
			}
		})
	}
}

// TestClientsLogInAsTheirCertificatesSay is the same over connections.
func TestClientsLogInAsTheirCertificatesSay(t *testing.T) {
	ca := testpki.New(t, testpki.P256)
	own := ca.Issue(t, testpki.P256, "proxy.example")
	login := func(t *testing.T, encrypted bool, user string, upstream Upstream) (*leg, <-chan outcome) {
		t.Helper()
		client, done := beginOn(t, &Config{
			Upstream:   upstream,
			Encryption: Encryption{Certificates: []tls.Certificate{own}, ClientCAs: ca.Pool(), ClientName: CommonName},
		}, loopback)
		if encrypted {
			client.write(t, request(codeSSL, nil))
			if got := client.answerByte(t); got != 'S' {
				t.Fatalf("answer %c, want S", got)
			}
			var err error
			client, err = client.over(&tls.Config{
				ServerName: "proxy.example", RootCAs: ca.Pool(),
				Certificates: []tls.Certificate{ca.Issue(t, testpki.P256, "alice")},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		client.write(t, startupBytes(version30, "user", user))
		return client, done
	}
	t.Run("its own user", func(t *testing.T) {
		client, done := login(t, true, "alice", scripted(t, trusting(t, testKey, nil)))
		client.admitted(t)
		if got := <-done; got.err != nil {
			t.Error(got.err)
		}
	})
	t.Run("another user", func(t *testing.T) {
		client, done := login(t, true, "bob", unreachable(t))
		client.refused(t, "28000", `user "bob"`)
		if got := <-done; got.err == nil || !strings.Contains(got.err.Error(), `"alice"`) {
			t.Errorf("the log does not name the certificate: %v", got.err)
		}
	})
	t.Run("in clear", func(t *testing.T) {
		client, done := login(t, false, "alice", unreachable(t))
		client.refused(t, "28000", "requires a valid client certificate")
		<-done
	})
}

func TestNamesOfCertificatesAreValidated(t *testing.T) {
	pool := testpki.New(t, testpki.P256).Pool()
	for says, e := range map[string]Encryption{
		"ClientName 7 is unknown":       {ClientName: 7, ClientCAs: pool},
		"ClientName -1 is unknown":      {ClientName: -1, ClientCAs: pool},
		"set Encryption.ClientCAs":      {ClientName: CommonName},
		"set Encryption.ClientName":     {ClientCAs: pool, ClientUsers: []CertUser{{"a", "b"}}},
		"ClientUsers[1] lacks a name":   {ClientCAs: pool, ClientName: CommonName, ClientUsers: []CertUser{{"a", "b"}, {"", "b"}}},
		"ClientUsers[0] lacks a name o": {ClientCAs: pool, ClientName: CommonName, ClientUsers: []CertUser{{"a", ""}}},
	} {
		err := (&Config{Sessions: &Sessions{}, Encryption: e}).Validate()
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
