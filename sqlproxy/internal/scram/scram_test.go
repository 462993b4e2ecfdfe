package scram

import (
	"bytes"
	"crypto/fips140"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/sqlproxy/internal/testpki"
)

const password = "a password of the test"

var salt = []byte("sixteen bytes !!")

func verifier(t testing.TB) *Verifier {
	t.Helper()
	v, err := NewVerifier(password, salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The example of RFC 7677, section 3.
func TestVectorOfTheRFC(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	// "pencil" is shorter than FIPS mode lets PBKDF2 have; its keys are those that it makes.
	keys := &Keys{Iterations: 4096, Salt: salt}
	mustDecode(t, keys.ClientKey[:], "pg/JI9Z+hkSpLRa5btpe9GVrDHJcSEN0viVTVXaZbos=")
	mustDecode(t, keys.ServerKey[:], "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")
	c := NewClient(keys, nil, false)
	c.first = "n=user,r=rOprNGfwEbeRWgbNEkqO"
	final, err := c.finalFor(t, "rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
	if err != nil {
		t.Fatal(err)
	}
	if want := "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="; final != want {
		t.Errorf("got  %s\nwant %s", final, want)
	}
	if err := c.Verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="); err != nil {
		t.Error(err)
	}
	if err := c.Verify("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="); !errors.Is(err, ErrServer) {
		t.Errorf("a wrong signature gives %v", err)
	}
}

func mustDecode(t testing.TB, dst []byte, text string) {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || copy(dst, b) != len(dst) {
		t.Fatalf("%q: %v", text, err)
	}
}

// login has a client log in to a server; between, if set, changes what the client sends.
func login(s *Server, c *Client, between func(n int, message string) string) (*Keys, error) {
	if between == nil {
		between = func(_ int, message string) string { return message }
	}
	challenge, err := s.First(c.Mechanism(), between(1, c.First()))
	if err != nil {
		return nil, err
	}
	final, err := c.Final(challenge)
	if err != nil {
		return nil, err
	}
	answer, keys, err := s.Final(between(2, final))
	if err != nil {
		return nil, err
	}
	return keys, c.Verify(answer)
}

func TestTheProofGivesTheKeysForAnotherLogin(t *testing.T) {
	v := verifier(t)
	for _, binding := range [][]byte{nil, []byte("a certificate's hash")} {
		keys, err := login(NewServer(v, binding), NewPasswordClient(password, binding, binding != nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := login(NewServer(v, nil), NewClient(keys, nil, false), nil)
		if err != nil || again.ClientKey != keys.ClientKey {
			t.Errorf("with the keys: %v", err)
		}
		if printed := fmt.Sprintf("%v %+v %#v %s", keys, keys, v, v); strings.Contains(printed, "[") {
			t.Errorf("printed as %s", printed)
		}
	}
}

func TestRefusals(t *testing.T) {
	v, bind, other := verifier(t), []byte("a hash"), []byte("another hash")
	replace := func(n int, old, with string) func(int, string) string {
		return func(at int, message string) string {
			if at == n {
				return strings.Replace(message, old, with, 1)
			}
			return message
		}
	}
	for _, tt := range []struct {
		name    string
		server  *Server
		client  *Client
		between func(int, string) string
		want    error
	}{
		{"a wrong password", NewServer(v, nil), NewPasswordClient("another password", nil, false), nil, ErrProof},
		{"a user who does not exist", NewServer(Mock(salt, "u", 4096), nil), NewPasswordClient(password, nil, false), nil, ErrProof},
		{"another certificate", NewServer(v, bind), NewPasswordClient(password, other, true), nil, ErrBinding},
		{"an offer that was taken away", NewServer(v, bind), NewPasswordClient(password, bind, false), nil, ErrDowngrade},
		{"a flag that was changed on the way", NewServer(v, bind), NewPasswordClient(password, bind, false), replace(1, "y,,", "n,,"), ErrBinding},
		{"binding where none was offered", NewServer(v, nil), NewPasswordClient(password, bind, true), nil, ErrMalformed},
		{"another kind of binding", NewServer(v, bind), NewPasswordClient(password, bind, true), replace(1, "end-point", "unique"), ErrMalformed},
		{"binding under the other mechanism's name", NewServer(v, bind), NewPasswordClient(password, nil, false), replace(1, "n,,", bindingFlag+",,"), ErrMalformed},
		{"an identity to act as", NewServer(v, nil), NewPasswordClient(password, nil, false), replace(1, "n,,", "n,a=root,"), ErrMalformed},
		{"a mandatory extension", NewServer(v, nil), NewPasswordClient(password, nil, false), replace(1, "n=", "m=x,n="), ErrMalformed},
		{"no nonce", NewServer(v, nil), NewPasswordClient(password, nil, false), replace(1, ",r=", ",r=,x="), ErrMalformed},
		{"another nonce at the end", NewServer(v, nil), NewPasswordClient(password, nil, false), replace(2, ",r=", ",r=x"), ErrMalformed},
		{"no proof", NewServer(v, nil), NewPasswordClient(password, nil, false), replace(2, ",p=", ",q="), ErrMalformed},
		{"a proof that is cut", NewServer(v, nil), NewPasswordClient(password, nil, false), replace(2, "p=", "p=AAAA"), ErrMalformed},
		{"an extension that the proof does not cover", NewServer(v, nil), NewPasswordClient(password, nil, false), replace(2, ",p=", ",x=y,p="), ErrProof},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys, err := login(tt.server, tt.client, tt.between)
			if !errors.Is(err, tt.want) || keys != nil {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestTheServersPartIsChecked(t *testing.T) {
	begin := func() (*Client, string) {
		c := NewPasswordClient(password, nil, false)
		return c, strings.TrimPrefix(c.First(), "n,,n=,r=")
	}
	good := ",s=" + base64.StdEncoding.EncodeToString(salt) + ",i=4096"
	for name, message := range map[string]func(nonce string) string{
		"the client's nonce alone":       func(n string) string { return "r=" + n + good },
		"another nonce":                  func(n string) string { return "r=x" + n + good },
		"a nonce that cannot be printed": func(n string) string { return "r=" + n + "\x00x" + good },
		"no salt":                        func(n string) string { return "r=" + n + "x,s=,i=4096" },
		"no iterations":                  func(n string) string { return "r=" + n + "x,s=AAAA,i=0" },
		"far too many iterations":        func(n string) string { return "r=" + n + "x,s=AAAA,i=100000000" },
		"an extension":                   func(n string) string { return "m=x,r=" + n + "x" + good },
	} {
		c, n := begin()
		if _, err := c.Final(message(n)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Verify("v=AAAA"); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

func TestKeysOfAnotherVerifierAreSaidToBe(t *testing.T) {
	other, err := NewVerifier(password, []byte("another salt of 16"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := login(NewServer(verifier(t), nil), NewPasswordClient(password, nil, false), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := login(NewServer(other, nil), NewClient(keys, nil, false), nil); !errors.Is(err, ErrStale) {
		t.Errorf("got %v", err)
	}
}

func TestMocksAreSteadyAndDiffer(t *testing.T) {
	secret := []byte("a secret of the test")
	a, again, b := Mock(secret, "a", 4096), Mock(secret, "a", 4096), Mock(secret, "b", 4096)
	if !bytes.Equal(a.Salt, again.Salt) || bytes.Equal(a.Salt, b.Salt) || len(a.Salt) != 16 {
		t.Error("salts")
	}
	if bytes.Equal(a.Salt, Mock([]byte("another secret, also"), "a", 4096).Salt) {
		t.Error("the salt does not depend on the secret")
	}
}

func TestVerifiersAreReadAsTheyAreWritten(t *testing.T) {
	text := verifier(t).Text()
	v, err := ParseVerifier(text)
	if err != nil || v.Text() != text {
		t.Fatalf("%v", err)
	}
	for name, bad := range map[string]string{
		"nothing":          "",
		"MD5":              "md5" + strings.Repeat("0", 32),
		"a password":       "secret",
		"no keys":          strings.Split(text, "$")[0] + "$4096:AAAA",
		"no iterations":    strings.Replace(text, "4096", "0", 1),
		"other iterations": strings.Replace(text, "4096", "4096x", 1),
		"too many":         strings.Replace(text, "4096", "4096000000", 1),
		"a bad salt":       strings.Replace(text, "4096:", "4096:!", 1),
		"a short key":      text[:len(text)-8],
	} {
		_, err := ParseVerifier(bad)
		if !errors.Is(err, ErrNotScram) {
			t.Errorf("%s: %v", name, err)
		}
		if bad != "" && err != nil && strings.Contains(err.Error(), bad) {
			t.Errorf("%s: quoted in %v", name, err)
		}
	}
}

func TestEndPointHashesAsTheCertificateIsSigned(t *testing.T) {
	for kind, size := range map[testpki.Kind]int{testpki.P256: 32, testpki.P384: 48, testpki.Ed25519: 0} {
		cert := testpki.New(t, kind).Issue(t, testpki.P256, "x.example").Leaf
		if got := len(EndPoint(cert)); got != size {
			t.Errorf("%v: %d bytes, want %d", cert.SignatureAlgorithm, got, size)
		}
	}
	for _, old := range []x509.SignatureAlgorithm{x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1} {
		if got := len(EndPoint(&x509.Certificate{Raw: []byte("x"), SignatureAlgorithm: old})); got != 32 {
			t.Errorf("%v: %d bytes, want SHA-256's", old, got)
		}
	}
}

// finalFor answers as if a nonce had been this client's.
func (c *Client) finalFor(t testing.TB, nonce, message string) (string, error) {
	t.Helper()
	c.nonce = nonce
	return c.Final(message)
}

func FuzzServer(f *testing.F) {
	for _, seed := range [][2]string{
		{"n,,n=,r=abc", "c=biws,r=abc,p=AAAA"},
		{"y,,n=u,r=abc", ""},
		{bindingFlag + ",,n=,r=abc", "c=,r=,p="},
		{",,", ",p="},
		{"n,a=x,n=,r=a", "p=,p=,p="},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, first, final string) {
		for _, mechanism := range []string{Mechanism, Plus} {
			s := NewServer(Mock(salt, "u", 4096), []byte("hash"))
			if _, err := s.First(mechanism, first); err != nil {
				continue
			}
			if _, keys, err := s.Final(strings.ReplaceAll(final, "abc", s.combined)); err == nil || keys != nil {
				t.Fatal("let in")
			}
		}
	})
}

func FuzzClient(f *testing.F) {
	f.Add("r=abc,s=AAAA,i=1", "v=AAAA")
	f.Add("r=abc", "e=other-error")
	f.Add("r=abcx,s=c2l4dGVlbiBieXRlcyAhIQ==,i=4096", "v=")
	f.Fuzz(func(t *testing.T, first, final string) {
		c := NewClient(&Keys{Iterations: 4096, Salt: salt}, nil, false)
		c.First()
		if _, err := c.Final(strings.ReplaceAll(first, "abc", c.nonce)); err != nil {
			return
		}
		if c.Verify(final) == nil {
			t.Fatal("an answer by chance is taken")
		}
	})
}

func TestShortSaltsAreNamedInFIPSMode(t *testing.T) {
	_, err := NewVerifier(password, salt[:8], 4096)
	if !fips140.Enforced() {
		if err != nil {
			t.Error(err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), "salt is too short for this program's FIPS mode") {
		t.Errorf("got %v", err)
	}
}
