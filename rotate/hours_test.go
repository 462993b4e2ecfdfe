package rotate

import (
	"strings"
	"testing"
	"time"
)

func TestHoursOfTheDay(t *testing.T) {
	for text, want := range map[string]string{ // a letter for each hour in which the job may run
		"":                "abcdefghijklmnopqrstuvwx",
		"0-24":            "abcdefghijklmnopqrstuvwx",
		"22-6":            "abcdefwx",
		"22-24":           "wx",
		"0-1":             "a",
		"1-5,13-14":       "bcden",
		" 1 - 2 , 23 - 1": "abx",
		"20-0":            "uvwx",
	} {
		h, err := parseHours(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var got strings.Builder
		for i := range 24 {
			if h.open(time.Date(2026, 1, 1, i, 59, 59, 0, time.UTC)) {
				got.WriteByte(byte('a' + i))
			}
		}
		if got.String() != want {
			t.Errorf("%q: %s, want %s", text, got.String(), want)
		}
	}
	for _, text := range []string{",", "1", "1-", "-1", "1-2-3", "5-5", "24-3", "0-25", "22:30-6", "a-b", "1-2,", "+1-2", "256-257"} {
		if _, err := parseHours(text); err == nil || !strings.Contains(err.Error(), "Limits.Hours") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestHoursFollowTheWallClock walks days on which clocks change.
func TestHoursFollowTheWallClock(t *testing.T) {
	for _, tt := range []struct {
		name, zone, hours string
		day               time.Time // its midnight UTC, and 24 hours on
		open              time.Duration
	}{
		{"clocks go forward over the hours", "Europe/Berlin", "2-3", time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC), 0},
		{"clocks go forward within the hours", "Europe/Berlin", "1-5", time.Date(2026, 3, 28, 22, 0, 0, 0, time.UTC), 3 * time.Hour},
		{"clocks go back within the hours", "Europe/Berlin", "1-5", time.Date(2026, 10, 24, 21, 0, 0, 0, time.UTC), 5 * time.Hour},
		{"clocks go back over the hours", "America/New_York", "1-2", time.Date(2026, 11, 1, 4, 0, 0, 0, time.UTC), 2 * time.Hour},
		{"over midnight", "America/New_York", "22-6", time.Date(2026, 10, 31, 16, 0, 0, 0, time.UTC), 9 * time.Hour},
		{"by half an hour", "Australia/Lord_Howe", "1-3", time.Date(2026, 4, 4, 11, 0, 0, 0, time.UTC), 150 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			zone, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			h, err := parseHours(tt.hours)
			if err != nil {
				t.Fatal(err)
			}
			const step = 15 * time.Minute
			var open time.Duration
			for at := tt.day.In(zone); at.Before(tt.day.Add(24 * time.Hour)); at = at.Add(step) {
				if h.open(at) {
					open += step
					continue
				}
				next := h.next(at)
				if !h.open(next) || h.open(next.Add(-time.Second)) || !next.After(at) {
					t.Errorf("at %v the next time is said to be %v", at, next)
				}
			}
			if open != tt.open {
				t.Errorf("open for %v, want %v", open, tt.open)
			}
		})
	}
}
