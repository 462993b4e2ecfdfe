package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

func TestRowKeysOfAPageAreEachTheirOwn(t *testing.T) {
	f := testField(t)
	page, again := RowKeys{Namespace: "ns"}, RowKeys{Namespace: "ns"}
	var wraps []*Key
	for i, tenant := range []string{"acme", "zeta"} {
		tk, _ := NewTenantKey(KeyID{byte(i + 1)}, tenant, bytes.Repeat([]byte{9}, 32))
		wrap, err := tk.RowWrapKey(SuiteRow, [SaltSize]byte{byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		wraps = append(wraps, wrap)
	}
	const n = 3*rowKeysTogether + 1
	var made []*Key
	seen := map[string]bool{}
	for i := range n {
		k, err := page.New(wraps[i%2])
		if err != nil {
			t.Fatal(err)
		}
		if made = append(made, k); seen[string(k.ref)] {
			t.Fatal("two rows have one key")
		}
		seen[string(k.ref)] = true
	}
	for i, k := range made { // when all were made: none may have been overwritten
		tenant := wraps[i%2].Tenant()
		b := &Binding{Namespace: "ns", Tenant: tenant, Field: f}
		sealed, err := Seal(nil, &Header{Column: f.ID(), Type: 1}, k, b, fmt.Appendf(nil, "row %d", i))
		if err != nil {
			t.Fatal(err)
		}
		v, _ := Parse(sealed)
		opener, err := again.Open(wraps[i%2], v.Wrapped())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Open(nil, &v, opener, b); err != nil || string(got) != fmt.Sprintf("row %d", i) {
			t.Fatalf("row %d opened as %q, %v", i, got, err)
		}
		if !bytes.Equal(opener.ref, k.ref) || opener.Tenant() != tenant {
			t.Fatalf("row %d: the unwrapped key is not the one that was made", i)
		}
	}
	if page.raw != [keySize]byte{} || again.raw != [keySize]byte{} {
		t.Error("a row key was left behind")
	}
}

func TestRowKeysAreRefusedAsSingleOnesAre(t *testing.T) {
	tk, _ := NewTenantKey(KeyID{1}, "acme", bytes.Repeat([]byte{9}, 32))
	wrap, _ := tk.RowWrapKey(SuiteRow, [SaltSize]byte{1})
	other, _ := tk.RowWrapKey(SuiteRow, [SaltSize]byte{2})
	page := RowKeys{Namespace: "ns"}
	k, err := page.New(wrap)
	if err != nil {
		t.Fatal(err)
	}
	wrapped := k.ref[KeyIDSize:]
	if _, err := page.New(k); err == nil {
		t.Error("a row key wrapped another")
	}
	altered := bytes.Clone(wrapped)
	altered[len(altered)-1] ^= 1
	for name, open := range map[string]func() (*Key, error){
		"another salt": func() (*Key, error) { return page.Open(other, wrapped) },
		"altered":      func() (*Key, error) { return page.Open(wrap, altered) },
		"cut":          func() (*Key, error) { return page.Open(wrap, wrapped[1:]) },
		"no wrap":      func() (*Key, error) { return page.Open(k, wrapped) },
		"namespace":    func() (*Key, error) { return (&RowKeys{Namespace: "other"}).Open(wrap, wrapped) },
	} {
		if _, err := open(); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := page.Open(wrap, wrapped); err != nil {
		t.Errorf("after refusals: %v", err)
	}
}

func TestReusedMemoryOfRowKeysHoldsAnotherKey(t *testing.T) {
	f := testField(t)
	tk, _ := NewTenantKey(KeyID{1}, "acme", bytes.Repeat([]byte{9}, 32))
	wrap, _ := tk.RowWrapKey(SuiteRow, [SaltSize]byte{1})
	b := &Binding{Namespace: "ns", Tenant: "acme", Field: f}
	page, again := RowKeys{Namespace: "ns"}, RowKeys{Namespace: "ns"}
	var values [][]byte
	var first *Key
	for i := range 3 {
		page.Reuse()
		k, err := page.New(wrap)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = k
		} else if k != first {
			t.Error("the memory was not used again")
		}
		sealed, err := Seal(nil, &Header{Column: f.ID(), Type: 1}, k, b, fmt.Appendf(nil, "row %d", i))
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, sealed)
	}
	for i, sealed := range values {
		v, _ := Parse(sealed)
		if i > 0 && bytes.Contains(values[i-1], v.Wrapped()) {
			t.Error("two rows have one key")
		}
		opener, err := again.Open(wrap, v.Wrapped())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Open(nil, &v, opener, b); err != nil || string(got) != fmt.Sprintf("row %d", i) {
			t.Errorf("row %d opened as %q, %v", i, got, err)
		}
	}
}
