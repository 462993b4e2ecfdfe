package kmstest

import (
	"strings"
	"testing"

	"github.com/rowseal/rowseal/kms"
)

var bindingChecks = []check{
	{name: "a wrapped key unwraps for no other binding", run: checkOtherBindings},
	{name: "a generated key unwraps for no other binding", run: checkGenerateBinds},
	{name: "a binding that cannot be told from others is refused", run: checkInvalidBindings},
}

// otherBindings differ from binding in one field each, or in where one field
// ends and the next begins.
func otherBindings() map[string]kms.Binding {
	with := func(change func(b *kms.Binding)) kms.Binding {
		b := binding
		change(&b)
		return b
	}
	return map[string]kms.Binding{
		"another namespace":            with(func(b *kms.Binding) { b.Namespace = "other" }),
		"no namespace":                 with(func(b *kms.Binding) { b.Namespace = "" }),
		"another tenant":               with(func(b *kms.Binding) { b.Tenant = "tenant-2" }),
		"a tenant in capitals":         with(func(b *kms.Binding) { b.Tenant = "Tenant-1" }),
		"a tenant with a space behind": with(func(b *kms.Binding) { b.Tenant += " " }),
		"no tenant":                    with(func(b *kms.Binding) { b.Tenant = "" }),
		"another purpose":              with(func(b *kms.Binding) { b.Purpose = "row" }),
		"another key id":               with(func(b *kms.Binding) { b.KeyID = "0123456789abcdee" }),
		"no key id":                    with(func(b *kms.Binding) { b.KeyID = "" }),
		"the next version":             with(func(b *kms.Binding) { b.Version++ }),
		"no version":                   with(func(b *kms.Binding) { b.Version = 0 }),
		"swapped fields":               with(func(b *kms.Binding) { b.Namespace, b.Tenant = b.Tenant, b.Namespace }),
		"a moved field edge":           with(func(b *kms.Binding) { b.Namespace, b.Tenant = "kmstestt", "enant-1" }),
	}
}

func checkOtherBindings(t testing.TB, h Harness) {
	k := h.Open(t)
	w := mustWrap(t, k, randomKey(), binding)
	refusedElsewhere(t, k, w)
	mustUnwrap(t, k, w, binding)
}

func checkGenerateBinds(t testing.TB, h Harness) {
	k := h.Open(t)
	g, ok := k.(kms.Generator)
	if !ok {
		return // the interface is optional
	}
	_, w, err := g.Generate(t.Context(), binding)
	if err != nil {
		t.Fatalf("Generate: %v", err)
	}
	refusedElsewhere(t, k, w)
}

func refusedElsewhere(t testing.TB, k kms.KMS, w kms.Wrapped) {
	t.Helper()
	for what, b := range otherBindings() {
		_, err := k.Unwrap(t.Context(), w, b)
		wantKind(t, "unwrapping for "+what, "unwrap", err, kms.ErrBinding)
		if r, ok := k.(kms.Rewrapper); ok {
			_, err := r.Rewrap(t.Context(), w, b)
			wantKind(t, "rewrapping for "+what, "rewrap", err, kms.ErrBinding)
		}
	}
}

func checkInvalidBindings(t testing.TB, h Harness) {
	k := h.Open(t)
	for what, b := range map[string]kms.Binding{
		"no purpose":                {Tenant: "a"},
		"a tenant that is too long": {Purpose: "row", Tenant: strings.Repeat("t", kms.MaxBindingString+1)},
		"a tenant that is no UTF-8": {Purpose: "row", Tenant: "t\xff"},
	} {
		_, err := k.Wrap(t.Context(), randomKey(), b)
		wantKind(t, "wrapping for "+what, "wrap", err, kms.ErrInvalid)
		w := mustWrap(t, k, randomKey(), binding)
		_, err = k.Unwrap(t.Context(), w, b)
		wantKind(t, "unwrapping for "+what, "unwrap", err, kms.ErrInvalid, kms.ErrBinding)
		if g, ok := k.(kms.Generator); ok {
			_, _, err := g.Generate(t.Context(), b)
			wantKind(t, "generating for "+what, "generate", err, kms.ErrInvalid)
		}
	}
}
