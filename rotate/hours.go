package rotate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// hours says of each hour on the wall clock whether the job may run in it. It knows no
// intervals of time, so that days of 23 and 25 hours need no thought.
type hours struct {
	closed [24]bool // the zero value is open all day
	text   string
}

// parseHours reads "22-6" or "1-5,13-14": from the first hour's beginning to the second's.
func parseHours(text string) (hours, error) {
	h := hours{text: text}
	if text == "" {
		return h, nil
	}
	for i := range h.closed {
		h.closed[i] = true
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, _ := strings.Cut(part, "-")
		from, okFrom := parseHour(first)
		to, okTo := parseHour(last)
		if !okFrom || !okTo || from == to || from == 24 {
			return hours{}, fmt.Errorf("rotate: Limits.Hours is %q; give hours of the day, 0 to 24, from-to, such as 22-6 or 1-5,13-14", text)
		}
		for i := from; i != to%24; i = (i + 1) % 24 {
			h.closed[i] = false
		}
		if from == 0 && to == 24 {
			h.closed = [24]bool{}
		}
	}
	return h, nil
}

func parseHour(s string) (int, bool) {
	s = strings.TrimSpace(s)
	n, err := strconv.ParseUint(s, 10, 8)
	return int(n), err == nil && n <= 24
}

// open reports whether the job may run at t, by t's location.
func (h *hours) open(t time.Time) bool { return !h.closed[t.Hour()] }

// next is when the job may run again after t, at which it may not.
func (h *hours) next(t time.Time) time.Time {
	// Offsets of zones, and what they change by, are multiples of a quarter of an hour. An hour of
	// the day that a change of the clocks left out comes again the day after.
	const step = 15 * time.Minute
	at := t.Truncate(step)
	for range 49 * time.Hour / step {
		if at = at.Add(step); h.open(at) {
			return at
		}
	}
	return at
}
