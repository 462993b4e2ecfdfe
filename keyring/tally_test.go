package keyring

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/dekcache"
	"github.com/rowseal/rowseal/envelope"
)

func TestAKeyNearItsLimitIsReportedOnceAndAgainWhenDoubled(t *testing.T) {
	var out bytes.Buffer
	counts, err := newTallies(10, 100, slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	field, _ := envelope.NewField("users", "ssn")
	tk, _ := envelope.NewTenantKey(envelope.KeyID{1}, "acme", make([]byte, 32))
	key, err := tk.FieldKey(envelope.SuiteXAES, field, [envelope.SaltSize]byte{})
	if err != nil {
		t.Fatal(err)
	}
	seal := func(values int) int {
		out.Reset()
		cache, err := dekcache.New(dekcache.Config[int, envelope.Key]{Entries: 1, TTL: DefaultTTL})
		if err != nil {
			t.Fatal(err)
		}
		lease, err := cache.Get(t.Context(), 1, deliverKey(key))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the same lease is counted once
			counts.begin(t.Context(), key, field, lease)
		}
		for range values {
			lease.Use(1)
		}
		return strings.Count(out.String(), "level=WARN")
	}
	for i, want := range []int{0, 0, 1, 0, 1} { // after 0, 60, 120, 180 and 240 values
		if got := seal(60); got != want {
			t.Errorf("lease %d: %d warnings, want %d", i, got, want)
		}
	}
}

func deliverKey(key *envelope.Key) dekcache.Loader[int, envelope.Key] {
	return func(_ context.Context, _ []int, deliver func(int, *envelope.Key, time.Time, error)) {
		deliver(0, key, time.Time{}, nil)
	}
}
