package kms

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxBindingString is the longest string in bytes that a [Binding] may hold.
// Tenants, the longest in use, are at most 255 bytes; the bound keeps every
// provider's form of a Binding small and unambiguous.
const MaxBindingString = 1024

// Validate says what is wrong with b: a missing purpose, a string that is too
// long, or one that is not UTF-8. Services carry the strings as JSON, where
// bytes that are not UTF-8 would all become the same replacement character
// and two Bindings could be taken for one. Every provider refuses to wrap for
// a Binding that does not pass. The error holds no field's value.
func (b Binding) Validate() error {
	if b.Purpose == "" {
		return errors.New("binding: purpose is empty")
	}
	for _, field := range []struct{ name, value string }{
		{"namespace", b.Namespace},
		{"tenant", b.Tenant},
		{"purpose", b.Purpose},
		{"key id", b.KeyID},
	} {
		if len(field.value) > MaxBindingString {
			return fmt.Errorf("binding: %s is %d bytes long, more than %d",
				field.name, len(field.value), MaxBindingString)
		}
		if !utf8.ValidString(field.value) {
			return fmt.Errorf("binding: %s is not UTF-8", field.name)
		}
	}
	return nil
}

// Validate says whether w has the form that every provider writes: a RootKey
// of 1 to [MaxRootKey] bytes of printable ASCII without spaces, and a Blob of
// 1 to [MaxBlob] bytes. It says nothing about whether w unwraps.
func (w Wrapped) Validate() error {
	if len(w.RootKey) == 0 || len(w.RootKey) > MaxRootKey {
		return fmt.Errorf("wrapped key: root key id is %d bytes long, want 1 to %d",
			len(w.RootKey), MaxRootKey)
	}
	for i := range len(w.RootKey) {
		if c := w.RootKey[i]; c <= ' ' || c > '~' {
			return errors.New("wrapped key: root key id is not printable ASCII")
		}
	}
	if len(w.Blob) == 0 || len(w.Blob) > MaxBlob {
		return fmt.Errorf("wrapped key: blob is %d bytes long, want 1 to %d", len(w.Blob), MaxBlob)
	}
	return nil
}
