package relay

import (
	"testing"
	"time"
)

func TestACauseIsToldOnceASecondAndColumn(t *testing.T) {
	var c causes
	now := time.Unix(1, 0)
	for _, step := range []struct {
		after  time.Duration
		column string
		due    bool
	}{
		{0, "a", true},
		{0, "a", false},
		{0, "b", true},
		{causeEvery - 1, "a", false},
		{causeEvery, "a", true},
		{causeEvery + 1, "a", false},
	} {
		if got := c.due(step.column, now.Add(step.after)); got != step.due {
			t.Errorf("%s after %v: %v", step.column, step.after, got)
		}
	}
}
