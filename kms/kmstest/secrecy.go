package kmstest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/kms"
)

var secrecyChecks = []check{
	{name: "errors hold no key bytes", run: checkErrorsSecret},
	{name: "a KMS that is printed or logged shows no secret", run: checkPrintingSecret},
}

func checkErrorsSecret(t testing.TB, h Harness) {
	k := h.Open(t)
	key := randomKey()
	w := mustWrap(t, k, key, binding)
	for _, err := range provoke(t, k, key, w) {
		for _, text := range printed(err) {
			if leaks(text, key) {
				t.Errorf("an error shows bytes of the data key") // which text, is not said: it shows the key
			}
			for _, secret := range secretsOf(t, h, k) {
				if leaks(text, secret) {
					t.Errorf("an error shows bytes of a secret of the provider")
				}
			}
		}
	}
}

// provoke collects errors of every kind that a caller can cause while key is
// in the provider's hands.
func provoke(t testing.TB, k kms.KMS, key []byte, w kms.Wrapped) (errs []error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	collect := func(err error) {
		if err == nil {
			t.Errorf("an operation that must fail succeeded")
			return
		}
		errs = append(errs, err)
	}
	_, err := k.Wrap(ctx, key, binding)
	collect(err)
	_, err = k.Wrap(t.Context(), append(bytes.Clone(key), key...), binding)
	collect(err)
	_, err = k.Wrap(t.Context(), key[:kms.KeySize-1], binding)
	collect(err)
	_, err = k.Wrap(t.Context(), key, kms.Binding{})
	collect(err)
	_, err = k.Unwrap(ctx, w, binding)
	collect(err)
	_, err = k.Unwrap(t.Context(), w, kms.Binding{Purpose: "row"})
	collect(err)
	_, err = k.Unwrap(t.Context(), kms.Wrapped{RootKey: w.RootKey, Blob: w.Blob[:len(w.Blob)-1]}, binding)
	collect(err)
	// Bytes that are a key, in the places where an id and a blob belong.
	_, err = k.Unwrap(t.Context(), kms.Wrapped{RootKey: w.RootKey, Blob: key}, binding)
	collect(err)
	_, err = k.Unwrap(t.Context(), kms.Wrapped{RootKey: string(key), Blob: w.Blob}, binding)
	collect(err)
	return errs
}

func checkPrintingSecret(t testing.TB, h Harness) {
	k := h.Open(t)
	key := randomKey()
	mustWrap(t, k, key, binding)
	for _, text := range printed(k) {
		for _, secret := range append(secretsOf(t, h, k), key) {
			if leaks(text, secret) {
				t.Errorf("printing the KMS shows a secret")
			}
		}
	}
}

func secretsOf(t testing.TB, h Harness, k kms.KMS) [][]byte {
	if h.Secrets == nil {
		return nil
	}
	return h.Secrets(t, k)
}

// printed returns v in all the forms in which it may end up in a log.
func printed(v any) []string {
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
	texts := []string{log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, v))
	}
	if b, err := json.Marshal(v); err == nil {
		texts = append(texts, string(b))
	}
	return texts
}

// window is how many bytes of a secret in a row count as a leak.
const window = 8

// leaks reports whether text shows window bytes of secret in a row: as they
// are, in hex, in base64, or as numbers.
func leaks(text string, secret []byte) bool {
	lower := strings.ToLower(text)
	for i := 0; i+window <= len(secret); i++ {
		part := secret[i : i+window]
		decimal := strings.Trim(fmt.Sprintf("%d", part), "[]")
		if strings.Contains(text, string(part)) ||
			strings.Contains(lower, hex.EncodeToString(part)) ||
			strings.Contains(text, decimal) ||
			strings.Contains(text, strings.ReplaceAll(decimal, " ", ", ")) ||
			strings.Contains(lower, strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte{"), "}")) ||
			strings.Contains(text, strings.Trim(fmt.Sprintf("%q", part), `"`)) {
			return true
		}
		// Base64 works on groups of three bytes, so that six of the window's
		// eight are whole groups wherever the groups begin.
		group := base64.StdEncoding.EncodeToString(part[:6])
		url := base64.URLEncoding.EncodeToString(part[:6])
		if strings.Contains(text, group) || strings.Contains(text, url) {
			return true
		}
	}
	return false
}
