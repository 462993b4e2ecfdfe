package envelope

import (
	"bytes"
	"strings"
	"testing"
)

// longNames seals a value whose root key id and tenant are as long as they may be: 255 bytes, the most that one byte counts.
func longNames(t testing.TB) (sealed []byte, root, tenant string) {
	t.Helper()
	root, tenant = "local:"+strings.Repeat("r", 249), strings.Repeat("t", 255)
	k, err := KMSKey(tenant, root, bytes.Repeat([]byte{7}, 85), bytes.Repeat([]byte{9}, 32))
	if err != nil {
		t.Fatal(err)
	}
	f := testField(t)
	sealed, err = Seal(nil, &Header{Column: f.ID(), Type: 1}, k, &Binding{Tenant: tenant, Field: f}, []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	return sealed, root, tenant
}

func TestTheLongestNamesAreReadBack(t *testing.T) {
	sealed, root, tenant := longNames(t)
	v, err := Parse(sealed)
	if err != nil {
		t.Fatal(err)
	}
	if v.RootKey() != root || v.Tenant() != tenant || len(v.Wrapped()) != 85 {
		t.Errorf("read %d bytes of a root key's id, %d of a tenant, %d of a wrapped key", len(v.RootKey()), len(v.Tenant()), len(v.Wrapped()))
	}
	if got := v.Append(nil); !bytes.Equal(got, sealed) {
		t.Error("written back, it is another value")
	}
}
