package envelope

import (
	"bytes"
	"errors"
	"testing"
)

// openAs opens b as the reader of v would: with the key that b names, if it
// is one that v's reader could have.
func openAs(v *vector, b []byte) ([]byte, error) {
	parsed, err := Parse(b)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(parsed.Append(nil), b) {
		return nil, errors.New("two ways to write one value")
	}
	if parsed.Mode() != v.Mode || parsed.Suite != v.Suite {
		// Another mode or suite names another key, which v's secrets do not
		// yield; a reader with that key fails on the tag.
		return nil, ErrOpen
	}
	if parsed.Mode() == ModeKMS {
		if parsed.RootKey() != v.RootKey || parsed.Tenant() != v.Tenant || !bytes.Equal(parsed.Wrapped(), v.KMSBlob) {
			return nil, ErrOpen // the KMS refuses what it did not wrap
		}
	} else if parsed.KeyID() != KeyID(v.KeyID) {
		return nil, ErrOpen // no such key
	}
	k, err := v.key(&parsed)
	if err != nil {
		return nil, err
	}
	f, err := v.fieldOf()
	if err != nil {
		return nil, err
	}
	return Open(nil, &parsed, k, &Binding{Namespace: v.Namespace, Tenant: v.Tenant, Field: f})
}

func typed(err error) bool {
	return errors.Is(err, ErrOpen) || errors.Is(err, ErrMalformed) || errors.Is(err, ErrNotSealed)
}

func TestEveryFlippedBitFailsToOpen(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			if _, err := openAs(&v, v.Value); err != nil {
				t.Fatal(err)
			}
			for i := range len(v.Value) * 8 {
				b := bytes.Clone(v.Value)
				b[i/8] ^= 1 << (i % 8)
				if _, err := openAs(&v, b); !typed(err) {
					t.Fatalf("bit %d of byte %d flipped: %v", i%8, i/8, err)
				}
			}
		})
	}
}

func TestEveryTruncationAndExtensionFailsToOpen(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			for n := range v.Value {
				if _, err := openAs(&v, v.Value[:n]); !typed(err) {
					t.Fatalf("cut to %d bytes: %v", n, err)
				}
			}
			for _, tail := range [][]byte{{0}, {0xff}, v.Value} {
				if _, err := openAs(&v, append(bytes.Clone(v.Value), tail...)); !typed(err) {
					t.Fatalf("%d bytes appended: %v", len(tail), err)
				}
			}
		})
	}
}

// The header says which key, but every byte of it is bound as well: a reader
// who is led to the right key by a changed header must still fail.
func TestEveryHeaderBitIsAuthenticated(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			original, err := Parse(v.Value)
			if err != nil {
				t.Fatal(err)
			}
			k := keyOf(t, &v, &original)
			f, _ := v.fieldOf()
			for i := range original.keyRef * 8 {
				b := bytes.Clone(v.Value)
				b[i/8] ^= 1 << (i % 8)
				changed, err := Parse(b)
				if err != nil {
					continue
				}
				forced := *k
				forced.suite, forced.mode = changed.Suite, changed.Mode()
				field := *f
				field.id = changed.Column
				if _, err := Open(nil, &changed, &forced, &Binding{Namespace: v.Namespace, Tenant: v.Tenant, Field: &field}); !errors.Is(err, ErrOpen) {
					t.Fatalf("bit %d of byte %d: %v", i%8, i/8, err)
				}
			}
		})
	}
}

func TestAValueOpensOnlyWhereItBelongs(t *testing.T) {
	for _, v := range loadVectors(t) {
		parsed, err := Parse(v.Value)
		if err != nil {
			t.Fatal(err)
		}
		k := keyOf(t, &v, &parsed)
		f, _ := v.fieldOf()
		other := *f
		other.bound += "x" // same column id, as after a collision
		moved := map[string]Binding{
			"another namespace": {Namespace: v.Namespace + "x", Tenant: v.Tenant, Field: f},
			"another tenant":    {Namespace: v.Namespace, Tenant: v.Tenant + "x", Field: f},
			"another column":    {Namespace: v.Namespace, Tenant: v.Tenant, Field: &other},
		}
		for where, b := range moved {
			forced := *k
			forced.tenant = b.Tenant // past the cheap check, to the tag
			if _, err := Open(nil, &parsed, &forced, &b); !errors.Is(err, ErrOpen) {
				t.Errorf("%s: opens for %s: %v", v.Name, where, err)
			}
			if _, err := Open(nil, &parsed, k, &b); where == "another tenant" && !errors.Is(err, ErrOpen) {
				t.Errorf("%s: opens for %s with the tenant's own key: %v", v.Name, where, err)
			}
		}
	}
}
