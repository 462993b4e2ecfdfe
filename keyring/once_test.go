package keyring_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
)

func TestKeysForOnceAreThoseOfOpenKeysAndRowKeysAreNotKept(t *testing.T) {
	b := newBench(t)
	var values []*envelope.Value
	for i := range 3 {
		for _, m := range modes {
			sealed, err := seal(b.Keyring, use(b, m.mode, m.suite, fmt.Sprintf("tenant-%d", i)), b.field, m.name)
			if err != nil {
				t.Fatal(err)
			}
			v, err := envelope.Parse(sealed)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, &v, &v) // as two columns of a row
		}
	}
	unknown, err := envelope.Parse(naming(t, b.field, envelope.KeyID{9, 9}))
	if err != nil {
		t.Fatal(err)
	}
	values = append(values, &unknown)
	k := b.reader(t)
	refs, grants := make([]envelope.Ref, len(values)), make([]envelope.Grant, len(values))
	for i, v := range values {
		refs[i] = envelope.Ref{Field: b.field, Value: v}
	}
	k.OpenKeysOnce(t.Context(), refs, grants)
	for i, v := range values[:len(values)-1] {
		if grants[i].Err != nil {
			t.Fatalf("value %d: %v", i, grants[i].Err)
		}
		key := grants[i].Key
		data, err := envelope.Open(nil, v, key, &envelope.Binding{Namespace: k.Namespace(), Tenant: key.Tenant(), Field: b.field})
		if want := modes[i/2%len(modes)].name; err != nil || string(data) != want {
			t.Errorf("value %d opened as %q, %v; want %q", i, data, err, want)
		}
		if v.Mode() == envelope.ModeRow && grants[i].Lease != nil {
			t.Errorf("value %d: a row key came with a lease to keep it", i)
		}
	}
	if err := grants[len(values)-1].Err; !errors.Is(err, keyring.ErrUnknownKey) {
		t.Errorf("unknown key: %v", err)
	}
	s := k.Stats()
	if s.RowKeys.Entries != 0 {
		t.Errorf("%d row keys were kept", s.RowKeys.Entries)
	}
	if s.KMSRowKeys.Entries != 0 {
		t.Errorf("%d built keys of the KMS's were kept", s.KMSRowKeys.Entries)
	}
	calls := b.kms.Calls()
	k.OpenKeysOnce(t.Context(), refs, grants)
	if again := b.kms.Calls().Sub(calls); again.Unwrap != 0 {
		t.Errorf("what was unwrapped before cost %d KMS calls", again.Unwrap)
	}
	k.ForgetTenant("tenant-0")
	k.OpenKeysOnce(t.Context(), refs, grants)
	if again := b.kms.Calls().Sub(calls); again.Unwrap < 2 { // its own key, and one in a value
		t.Error("a tenant's row keys were kept that were to be forgotten")
	}
}
