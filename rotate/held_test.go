package rotate

import (
	"testing"
	"time"
)

func TestHeldByTellsReasonsApart(t *testing.T) {
	for held, want := range map[string]string{
		"": "",
		"replica 10.0.0.7 is 12 MB behind (limit 8 MB)":     "replica",
		"WAL is written at 90 MB/s (limit 64 MB/s)":         "wal",
		"server has 41 other active connections (limit 40)": "connections",
		"pause file /tmp/p exists":                          "file",
		"outside the hours 22-6, goes on at 22:00":          "hours",
		"load cannot be seen: it is a standby":              "blind",
		"paused by ann: backup runs":                        "order",
		"waiting for the server or the KMS: refused":        "away",
		"transactions from before are open: session 7":      "transactions",
		"server is gone":                                    "other",
	} {
		if got := HeldBy(held); got != want {
			t.Errorf("%q: %q, want %q", held, got, want)
		}
	}
}

func TestSizesAndTimesInWords(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 kB", 1536: "1.5 kB", 12 << 20: "12 MB", 12<<20 + 300<<10: "12 MB", 3 << 30: "3 GB", 1 << 62: "4096 PB",
	} {
		if got := sizeText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		1234 * time.Millisecond: "1.2s", 75500 * time.Millisecond: "1m16s", 10 * time.Second: "10s",
	} {
		if got := spanText(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
