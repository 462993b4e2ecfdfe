package login

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/sqlproxy/internal/scram"
)

const (
	testPassword = "canary password of a"
	testSalt     = "sixteen bytes !!"
)

// verifiers are in memory.
type verifiers map[string]string

func (v verifiers) Verifier(_ context.Context, user string) (string, error) {
	if user == "broken" {
		return "", errors.New("canary of the look-up")
	}
	return v[user], nil
}

func known(t testing.TB) verifiers {
	t.Helper()
	v, err := scram.NewVerifier(testPassword, []byte(testSalt), 4096)
	if err != nil {
		t.Fatal(err)
	}
	return verifiers{"a": v.Text(), "old": "md5" + strings.Repeat("0", 32)}
}

// prove logs a client in by SCRAM up to the proof, and gives server-first-message.
func (l *leg) prove(t testing.TB, password string) (exchange *scram.Client, challenge string) {
	t.Helper()
	if got := l.expect(t, msgAuthentication); binary.BigEndian.Uint32(got) != authSASL || string(got[4:]) != mechanism+"\x00\x00" {
		t.Errorf("offered %q", got)
	}
	exchange = scram.NewPasswordClient(password, nil, false)
	first := exchange.First()
	body := binary.BigEndian.AppendUint32([]byte(mechanism+"\x00"), uint32(len(first)))
	l.write(t, appendMessage(nil, msgPassword, append(body, first...)))
	challenge = string(l.expect(t, msgAuthentication)[4:])
	final, err := exchange.Final(challenge)
	if err != nil {
		t.Error(err)
	}
	l.write(t, appendMessage(nil, msgPassword, []byte(final)))
	return exchange, challenge
}

// verifying is a server that verifies by SCRAM. users, if set, gets whom it is asked for.
func verifying(t testing.TB, v string, users chan<- string) func(*leg) {
	return func(server *leg) {
		p, err := server.packet()
		if err != nil {
			return
		}
		s, err := parseStartup(p)
		if err != nil {
			t.Error(err)
			return
		}
		users <- s.user + "@" + s.database
		verifier, err := scram.ParseVerifier(v)
		if err != nil {
			t.Error(err)
			return
		}
		exchange := scram.NewServer(verifier, nil)
		server.auth(t, authSASL, mechanism+"\x00\x00")
		name, first, err := initialResponse(server.expect(t, msgPassword))
		if err != nil {
			t.Error(err)
		}
		challenge, err := exchange.First(name, first)
		if err != nil {
			t.Error(err)
		}
		server.auth(t, authSASLContinue, challenge)
		kind, body, err := server.message(maxAnswer)
		if err != nil || kind != msgPassword {
			return
		}
		final, _, err := exchange.Final(string(body))
		if err != nil {
			server.write(t, (&Error{SQLState: "28P01", Message: "password authentication failed for user " + s.user}).Response())
			return
		}
		server.auth(t, authSASLFinal, final)
		server.welcome(t, testKey)
	}
}

func TestTheProxyLogsInWithTheKeysOfTheProof(t *testing.T) {
	users := make(chan string, 1)
	all := known(t)
	client, done := begin(t, &Config{
		Upstream:   scripted(t, verifying(t, all["a"], users)),
		Terminated: &Terminated{Verifiers: all},
	})
	client.write(t, startupBytes(version30, "user", "a", "database", "d"))
	exchange, _ := client.prove(t, testPassword)
	if err := exchange.Verify(string(client.expect(t, msgAuthentication)[4:])); err != nil {
		t.Error(err)
	}
	client.admitted(t)
	if got := <-done; got.err != nil || got.pair.User != "a" {
		t.Errorf("got %+v", got)
	}
	if got := <-users; got != "a@d" {
		t.Errorf("logged in as %s", got)
	}
}

func TestTheProxyLogsInAsAServiceToTheClientsDatabase(t *testing.T) {
	users := make(chan string, 1)
	all := known(t)
	client, done := begin(t, &Config{
		Upstream:   scripted(t, verifying(t, all["a"], users)),
		Terminated: &Terminated{Verifiers: all, Service: &Credential{"service", testPassword}},
	})
	client.write(t, startupBytes(version30, "user", "a"))
	client.prove(t, testPassword)
	client.expect(t, msgAuthentication)
	client.admitted(t)
	if got := <-done; got.err != nil || got.pair.User != "a" || got.pair.Options["user"] != "a" {
		t.Errorf("got %+v", got)
	}
	if got := <-users; got != "service@a" {
		t.Errorf("logged in as %s", got)
	}
}

func TestUsersWhoDoNotExistAreAnsweredLikeOthers(t *testing.T) {
	sessions := &Sessions{}
	challenges := map[string]string{}
	for _, user := range []string{"a", "nobody", "nobody", "old", "other"} {
		// A new Config each time, as after a reload.
		client, done := begin(t, &Config{Upstream: unreachable(t), Terminated: &Terminated{Verifiers: known(t)}, Sessions: sessions})
		client.write(t, startupBytes(version30, "user", user))
		_, challenge := client.prove(t, "a wrong password")
		client.refused(t, "28P01", `password authentication failed for user "`+user+`"`)
		if got := <-done; got.err == nil || strings.Contains(got.err.Error(), "a wrong password") {
			t.Errorf("Login gives %v", got.err)
		}
		_, salt, _ := strings.Cut(challenge, ",")
		if before, ok := challenges[user]; ok && before != salt {
			t.Errorf("%s is shown %s, then %s", user, before, salt)
		}
		challenges[user] = salt
	}
	seen := map[string]bool{}
	for user, salt := range challenges {
		if seen[salt] || len(salt) != len(challenges["a"]) {
			t.Errorf("%s is shown %s", user, salt)
		}
		seen[salt] = true
	}
}

func TestALookUpThatFailsIsNotShown(t *testing.T) {
	client, done := begin(t, &Config{Upstream: unreachable(t), Terminated: &Terminated{Verifiers: known(t)}})
	client.write(t, startupBytes(version30, "user", "broken"))
	body := client.expect(t, msgError)
	if errorField(body, 'C') != "57P03" || bytes.Contains(body, []byte("canary")) {
		t.Errorf("the client is told %q", body)
	}
	if got := <-done; got.err == nil || !strings.Contains(got.err.Error(), "canary of the look-up") {
		t.Errorf("the log is told %v", got.err)
	}
}

func TestServersThatTheProxyCannotLogInTo(t *testing.T) {
	all := known(t)
	other, err := scram.NewVerifier(testPassword, []byte("another salt 16 "), 4096)
	if err != nil {
		t.Fatal(err)
	}
	asking := func(code uint32) func(*leg) {
		return func(server *leg) {
			if _, err := server.packet(); err == nil {
				server.auth(t, code, "salt")
				_, _, _ = server.message(maxAnswer) // which does not come
			}
		}
	}
	users := make(chan string, 10)
	for _, tt := range []struct {
		name        string
		serve       func(*leg)
		service     *Credential
		state, says string
		log         string
	}{
		{"another verifier", verifying(t, other.Text(), users), nil, "57P03", "does not let the proxy in", "another verifier"},
		{"a wrong password of the service", verifying(t, all["a"], users), &Credential{"service", "canary of the service"}, "57P03", "does not let the proxy in", "for user service"},
		{"MD5", asking(authMD5), nil, "57P03", "does not let the proxy in", "use scram-sha-256"},
		{"a password that the proxy has not got", asking(authCleartext), nil, "57P03", "does not let the proxy in", "use scram-sha-256"},
		{"a password in clear", asking(authCleartext), &Credential{"service", "canary of the service"}, "57P03", "does not let the proxy in", "encrypt the leg"},
		{"a database that does not exist", func(server *leg) {
			if _, err := server.packet(); err == nil {
				server.write(t, (&Error{SQLState: "3D000", Message: "no such database"}).Response())
			}
		}, nil, "3D000", "no such database", "no such database"},
		{"one that lets in without a word", func(server *leg) {
			if _, err := server.packet(); err != nil {
				return
			}
			server.auth(t, authSASL, mechanism+"\x00\x00")
			server.expect(t, msgPassword)
			server.auth(t, authOK, "")
		}, nil, "57P03", "does not let the proxy in", "signature is wrong"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, done := begin(t, &Config{Upstream: scripted(t, tt.serve), Terminated: &Terminated{Verifiers: all, Service: tt.service}})
			client.write(t, startupBytes(version30, "user", "a"))
			client.prove(t, testPassword)
			client.expect(t, msgAuthentication)
			body := client.expect(t, msgError)
			if errorField(body, 'C') != tt.state || !strings.Contains(errorField(body, 'M'), tt.says) {
				t.Errorf("the client is told %q", body)
			}
			if bytes.Contains(body, []byte("service")) {
				t.Errorf("the client is told of the service: %q", body)
			}
			got := <-done
			if got.err == nil || !strings.Contains(got.err.Error(), tt.log) || strings.Contains(got.err.Error(), "canary") {
				t.Errorf("the log is told %v", got.err)
			}
		})
	}
}

func TestTerminatedIsValidated(t *testing.T) {
	for name, c := range map[string]*Config{
		"sessions":  {},
		"Verifiers": {Sessions: &Sessions{}, Terminated: &Terminated{}},
		"at least 16": {Sessions: &Sessions{}, Terminated: &Terminated{
			Verifiers: verifiers{}, MockSecret: []byte("short"),
		}},
		"negative": {Sessions: &Sessions{}, Terminated: &Terminated{Verifiers: verifiers{}, MockIterations: -1}},
		"no user":  {Sessions: &Sessions{}, Terminated: &Terminated{Verifiers: verifiers{}, Service: &Credential{}}},
		"not ASCII": {Sessions: &Sessions{}, Terminated: &Terminated{
			Verifiers: verifiers{}, Service: &Credential{"u", "pässword"},
		}},
	} {
		err := c.Validate()
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(name)) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "pässword") {
			t.Errorf("the password is quoted: %v", err)
		}
	}
}

func TestVerifierFile(t *testing.T) {
	v := known(t)["a"]
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "users")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	f, err := ReadVerifierFile(write("# users\n; more\n\na " + v + "\n\"a \"\"b\"\"\" \"" + v + "\"\n\tc\t" + v + "\t\n"))
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]string{"a": v, `a "b"`: v, "c": v, "d": "", "": ""} {
		if got, err := f.Verifier(t.Context(), user); err != nil || got != want {
			t.Errorf("%q: %q, %v", user, got, err)
		}
	}
	for name, text := range map[string]string{
		"line 1: want":                      "a\n",
		"line 2: want":                      "\na " + v + " more\n",
		"line 1: scram":                     "a canary-password\n",
		"line 1: want a":                    "\"a " + v + "\n",
		"line 2: the user":                  "a " + v + "\na " + v + "\n",
		"line 1: scram: not a SCRAM-SHA-25": "a md5" + strings.Repeat("0", 32),
		"too long":                          strings.Repeat("x", 100_000),
	} {
		_, err := ReadVerifierFile(write(text))
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := ReadVerifierFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
