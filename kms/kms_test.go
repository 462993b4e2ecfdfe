package kms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
)

var someBinding = Binding{Namespace: "prod", Tenant: "acme", Purpose: "tenant", KeyID: "0123456789abcdef", Version: 3}

func TestAssociatedDataIsTheDocumentedBytes(t *testing.T) {
	got := Binding{Tenant: "ab", Purpose: "row", Version: 258}.AssociatedData([]byte{0xee})
	want := "\xee\x00\x0erowseal/kms/v1\x00\x00\x00\x02ab\x00\x03row\x00\x00\x00\x00\x01\x02"
	if string(got) != want {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
}

func TestNoTwoBindingsHaveTheSameAssociatedDataOrEncryptionContext(t *testing.T) {
	bindings := []Binding{
		{Purpose: "row"},
		{Purpose: "row", Version: 1},
		{Purpose: "row", Tenant: "a"},
		{Purpose: "row", Namespace: "a"},
		{Purpose: "row", KeyID: "a"},
		{Purpose: "rowa"},
		{Purpose: "row", Namespace: "a", Tenant: "b"},
		{Purpose: "row", Namespace: "ab"},
		{Purpose: "row", Tenant: "ab"},
		{Purpose: "row", Tenant: "a\x00\x01b"},
		someBinding,
	}
	for i, a := range bindings {
		for _, b := range bindings[i+1:] {
			if bytes.Equal(a.AssociatedData(nil), b.AssociatedData(nil)) {
				t.Errorf("%+v and %+v have the same associated data", a, b)
			}
			if maps.Equal(a.EncryptionContext(), b.EncryptionContext()) {
				t.Errorf("%+v and %+v have the same encryption context", a, b)
			}
		}
	}
}

func TestEncryptionContextLeavesOutEmptyFields(t *testing.T) {
	want := map[string]string{"rowseal:purpose": "row"}
	if got := (Binding{Purpose: "row"}).EncryptionContext(); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	want = map[string]string{
		"rowseal:purpose": "tenant", "rowseal:namespace": "prod", "rowseal:tenant": "acme",
		"rowseal:key-id": "0123456789abcdef", "rowseal:version": "3",
	}
	if got := someBinding.EncryptionContext(); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestBindingValidate(t *testing.T) {
	long := strings.Repeat("x", MaxBindingString)
	for name, c := range map[string]struct {
		b    Binding
		want string
	}{
		"a full binding passes":             {someBinding, ""},
		"the longest strings pass":          {Binding{long, long, long, long, 1}, ""},
		"an empty purpose is refused":       {Binding{Tenant: "a"}, "purpose is empty"},
		"a longer namespace is refused":     {Binding{Purpose: "row", Namespace: long + "x"}, "namespace is 1025 bytes"},
		"a longer tenant is refused":        {Binding{Purpose: "row", Tenant: long + "x"}, "tenant is 1025 bytes"},
		"a longer purpose is refused":       {Binding{Purpose: long + "x"}, "purpose is 1025 bytes"},
		"a longer key id is refused":        {Binding{Purpose: "row", KeyID: long + "x"}, "key id is 1025 bytes"},
		"a tenant not in UTF-8 is refused":  {Binding{Purpose: "row", Tenant: "a\xff"}, "tenant is not UTF-8"},
		"a purpose not in UTF-8 is refused": {Binding{Purpose: "\xff"}, "purpose is not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) { wantText(t, c.b.Validate(), c.want) })
	}
}

func TestWrappedValidate(t *testing.T) {
	blob := []byte("blob")
	for name, c := range map[string]struct {
		w    Wrapped
		want string
	}{
		"an ARN passes":                    {Wrapped{"arn:aws:kms:eu-west-1:1:key/a", blob}, ""},
		"the longest passes":               {Wrapped{strings.Repeat("k", MaxRootKey), make([]byte, MaxBlob)}, ""},
		"no root key is refused":           {Wrapped{"", blob}, "0 bytes long"},
		"a longer root key is refused":     {Wrapped{strings.Repeat("k", MaxRootKey+1), blob}, "256 bytes long"},
		"a space is refused":               {Wrapped{"a b", blob}, "printable ASCII"},
		"a control byte is refused":        {Wrapped{"a\x7f", blob}, "printable ASCII"},
		"a byte beyond ASCII is refused":   {Wrapped{"é", blob}, "printable ASCII"},
		"no blob is refused":               {Wrapped{"k", nil}, "blob is 0 bytes"},
		"a blob over the limit is refused": {Wrapped{"k", make([]byte, MaxBlob+1)}, "blob is 6145 bytes"},
	} {
		t.Run(name, func(t *testing.T) { wantText(t, c.w.Validate(), c.want) })
	}
}

func wantText(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Fatalf("got %v, want no error", err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v, want an error with %q", err, want)
	}
}

func TestErrorNamesOperationRootKeyCauseAndRemedy(t *testing.T) {
	err := error(&Error{
		Provider: "local", Op: "unwrap", RootKey: "local:00/1", Kind: ErrNotFound,
		Err: context.Canceled, Remedy: "restore it",
	})
	want := "kms: local: unwrap: root key not found (local:00/1): context canceled; restore it"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	err = fmt.Errorf("outer: %w", err)
	if !errors.Is(err, ErrNotFound) || !errors.Is(err, context.Canceled) || errors.Is(err, ErrForeign) {
		t.Errorf("%v does not match exactly its kind and its cause", err)
	}
	if bare := (&Error{Provider: "p", Op: "wrap", Kind: ErrDenied}); !errors.Is(bare, ErrDenied) {
		t.Errorf("%v does not match its kind", bare)
	}
}

func TestTemporaryIsTrueForUnavailableAndThrottledOnly(t *testing.T) {
	for kind, want := range map[error]bool{
		ErrUnavailable: true, ErrThrottled: true,
		ErrForeign: false, ErrBinding: false, ErrNotFound: false,
		ErrDisabled: false, ErrDenied: false, ErrInvalid: false,
	} {
		if got := Temporary(&Error{Kind: kind}); got != want {
			t.Errorf("Temporary(%v) = %v, want %v", kind, got, want)
		}
	}
}
