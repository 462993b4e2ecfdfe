package field

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNearWordsAreProposedAndFarOnesAreNot(t *testing.T) {
	candidates := []string{"tenant", "row", "columns", "kms"}
	for word, want := range map[string]string{
		"tennant": "tenant", "tenat": "tenant", "tneant": "tenant", "TENANT": "tenant", "colmuns": "columns",
		"rwo": "row", "rows": "row", "kmss": "kms", "kns": "kms",
		"word": "", "x": "", "": "", "landlord": "", "ten": "", "aws": "",
	} {
		if got := nearest(word, candidates); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestEditDistanceCountsSlips(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"abc", "acb", 1},
		{"abc", "axc", 1},
		{"abc", "abcd", 1},
		{"kitten", "sitting", 3},
		{"über", "uber", 1},
	} {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestErrorsRepeatWordsButNoURLsAndNoLongText(t *testing.T) {
	for word, want := range map[string]string{
		"rwo":                `"rwo"`,
		"a\nb":               `"a\nb"`,
		"postgres://u:p@h/d": `"postgres://…"`,
		"Basic://u:p@h/d":    "(of 15 characters)",
		"user:password@host": "(of 18 characters)",
		"password=swordfish": "(of 18 characters)",
		"0123456789012345678901234567890123456789":  `"0123456789012345678901234567890123456789"`,
		"01234567890123456789012345678901234567890": "(of 41 characters)",
	} {
		if got := shown(word); got != want {
			t.Errorf("shown(%q) = %s, want %s", word, got, want)
		}
	}
}

func TestDurationsHaveGosFormAndDays(t *testing.T) {
	const most = 1000 * day
	for s, want := range map[string]time.Duration{
		"1d": day, "365d": 365 * day, "1d12h": 36 * time.Hour, "90s": 90 * time.Second, "1h30m": 90 * time.Minute,
		"1000d": most, "1s": time.Second, "0d5m": 5 * time.Minute,
	} {
		if got, problem := parseDuration(s, most); got != want || problem != "" {
			t.Errorf("%s: %v %s", s, got, problem)
		}
	}
	for s, want := range map[string]string{
		"": "is not a duration", "d": "is not a duration", "5": "is not a duration", "1.5d": "is not a duration",
		"01d": "is not a duration", "1d-5m": "is not a duration", "1d+5m": "is not a duration", "1d1d": "is not a duration",
		"1h1d": "is not a duration", " 1d": "is not a duration", "-1d": "is negative", "-5m": "is negative", "0s": "is zero",
		"0d": "is zero", "1ns": "is too short", "999ms": "is too short", "1001d": "is too long", "1000d1ns": "is too long", "99999999999999999999d": "is too long",
		"24000h1ns": "is too long", "213504d": "is too long", // 1526 s, modulo 2^64 ns
	} {
		accepted := "; accepted: a duration from 1s to 24000h, such as 30s or 1m30s"
		if got, problem := parseDuration(s, most); got != 0 || problem != want+accepted {
			t.Errorf("%q: %v %s", s, got, problem)
		}
	}
}

func TestDurationsReadBackAsWritten(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Hour: "1h", 5 * time.Minute: "5m", 90 * time.Second: "1m30s", 10 * time.Minute: "10m", time.Second: "1s",
		time.Hour + 30*time.Second: "1h0m30s", 100 * time.Hour: "100h",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		want := time.Duration(rapid.Int64Range(int64(time.Second), int64(100*day)).Draw(t, "d"))
		if got, problem := parseDuration(formatDuration(want), 100*day); got != want || problem != "" {
			t.Fatalf("%s: %v %s", formatDuration(want), got, problem)
		}
	})
}
