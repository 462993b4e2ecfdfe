package envelope

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustTenantKey(t testing.TB, raw []byte) *TenantKey {
	t.Helper()
	k, err := NewTenantKey(KeyID{1}, "acme", raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// No two sets of names share a key: neither by moving bytes between the names,
// nor between a column and a domain, nor between index and other keys.
func TestIndexKeysOfDifferentNamesDiffer(t *testing.T) {
	tk := mustTenantKey(t, fill("index", 32))
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-c]{1,3}`)
		type use struct{ kind, table, column, domain string }
		draw := func(label string) (u use) {
			u.kind = rapid.SampledFrom([]string{"equality", "prefix"}).Draw(t, label+" kind")
			if rapid.Bool().Draw(t, label+" is a domain") {
				u.domain = name.Draw(t, label+" domain")
				return u
			}
			u.table, u.column = name.Draw(t, label+" table"), name.Draw(t, label+" column")
			return u
		}
		derive := func(u use) []byte {
			key, err := tk.IndexKey(u.kind, u.table, u.column)
			if u.domain != "" {
				key, err = tk.DomainIndexKey(u.kind, u.domain)
			}
			if err != nil || len(key) != IndexKeySize {
				t.Fatalf("%d bytes, %v", len(key), err)
			}
			return key
		}
		a, b := draw("a"), draw("b")
		if same := bytes.Equal(derive(a), derive(b)); same != (a == b) {
			t.Fatalf("%+v and %+v: equal keys are %v", a, b, same)
		}
	})
}

func TestIndexKeysAreNoOtherDerivedKeys(t *testing.T) {
	tk := mustTenantKey(t, fill("index", 32))
	f, err := NewField("users", "ssn")
	if err != nil {
		t.Fatal(err)
	}
	index, err := tk.IndexKey("equality", "users", "ssn")
	if err != nil {
		t.Fatal(err)
	}
	for _, purpose := range []string{purposeSeal, purposeIndex, purposeCommit, purposeWrapKey} {
		if other, err := tk.expand(purpose, SuiteXAES, f, 32); err != nil || bytes.Equal(other, index) {
			t.Errorf("%s: %v, or the same key", purpose, err)
		}
	}
}

func TestNamesOfIndexKeysAreChecked(t *testing.T) {
	tk := mustTenantKey(t, fill("index", 32))
	for _, bad := range []string{"", "\xff", strings.Repeat("x", 256)} {
		for name, derive := range map[string]func() ([]byte, error){
			"kind":        func() ([]byte, error) { return tk.IndexKey(bad, "users", "ssn") },
			"table":       func() ([]byte, error) { return tk.IndexKey("equality", bad, "ssn") },
			"column":      func() ([]byte, error) { return tk.IndexKey("equality", "users", bad) },
			"domain":      func() ([]byte, error) { return tk.DomainIndexKey("equality", bad) },
			"domain kind": func() ([]byte, error) { return tk.DomainIndexKey(bad, "ssn") },
		} {
			if key, err := derive(); err == nil || key != nil {
				t.Errorf("%s of %d bytes: %d bytes of key, %v", name, len(bad), len(key), err)
			}
		}
	}
}
