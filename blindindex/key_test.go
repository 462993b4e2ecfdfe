package blindindex_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/blindindex"
)

func TestAShortSecretIsRefused(t *testing.T) {
	for _, n := range []int{0, 14, 31} {
		if k, err := blindindex.NewKey(make([]byte, n)); err == nil {
			t.Errorf("a secret of %d bytes gives %v", n, k)
		}
	}
}

func TestAKeyPrintsNothingOfItself(t *testing.T) {
	secret := bytes.Repeat([]byte("\xa7Key!"), 8)
	key := mustKey(t, secret)
	key.Equality(nil, []byte("canonical"))
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", key)
	out := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out += fmt.Sprintf(verb+"\n", key)
		out += fmt.Sprintf(verb+"\n", struct{ K *blindindex.Key }{key})
	}
	for _, part := range []string{"Key!", hex.EncodeToString([]byte("Key!")), "canonical", "states", "167"} {
		if strings.Contains(out, part) {
			t.Errorf("the key shows %q in\n%s", part, out)
		}
	}
	if !strings.Contains(out, key.String()) {
		t.Errorf("the key does not name itself in\n%s", out)
	}
}

func TestTheCallersSecretIsNotKept(t *testing.T) {
	secret := bytes.Repeat([]byte{7}, 32)
	key := mustKey(t, secret)
	want := mustKey(t, bytes.Repeat([]byte{7}, 32)).Equality(nil, []byte("a"))
	clear(secret)
	if got := key.Equality(nil, []byte("a")); !bytes.Equal(got, want) {
		t.Error("clearing the caller's secret changes the key")
	}
}

func TestNamesOfColumnsAndDomainsDiffer(t *testing.T) {
	names := map[blindindex.Name]bool{}
	for _, n := range []blindindex.Name{
		blindindex.ColumnName("users", "ssn"), blindindex.ColumnName("ssn", "users"),
		blindindex.DomainName("ssn"), blindindex.DomainName("users.ssn"),
	} {
		if names[n] {
			t.Errorf("%v stands for two", n)
		}
		names[n] = true
	}
	for want, n := range map[string]blindindex.Name{
		"users.ssn": blindindex.ColumnName("users", "ssn"), "domain ssn": blindindex.DomainName("ssn"),
	} {
		if n.String() != want {
			t.Errorf("%q, want %q", n, want)
		}
	}
}
