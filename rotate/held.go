package rotate

import (
	"fmt"
	"strings"
	"time"
)

// What Progress.Held begins with, for HeldBy.
const (
	heldReplica     = "replica "
	heldWAL         = "WAL "
	heldConnections = "server has "
	heldFile        = "pause file "
	heldHours       = "outside the hours "
	heldBlind       = "load cannot be seen: "
	heldOrder       = "paused"
	heldAway        = "waiting for "
	heldEarlier     = "transactions from before are open: "
)

// HeldBy returns a word for what holds a job whose Progress.Held is held, for metrics: "replica", "wal",
// "connections", "file", "hours", "blind" where the role may not see what a limit needs, "order" for
// an operator's command, "away" for a server or KMS that is waited for, "transactions" for those from before a verify,
// "other"; "" where nothing holds it.
func HeldBy(held string) string {
	if held == "" {
		return ""
	}
	for _, k := range []struct{ prefix, word string }{
		{heldReplica, "replica"},
		{heldWAL, "wal"},
		{heldConnections, "connections"},
		{heldFile, "file"},
		{heldHours, "hours"},
		{heldBlind, "blind"},
		{heldOrder, "order"},
		{heldAway, "away"},
		{heldEarlier, "transactions"},
	} {
		if strings.HasPrefix(held, k.prefix) {
			return k.word
		}
	}
	return "other"
}

// sizeText writes bytes as PostgreSQL's settings do: a kB has 1024 of them.
func sizeText(n int64) string {
	const unit = 1024
	value, units := float64(n), []string{"B", "kB", "MB", "GB", "TB", "PB"}
	i := 0
	for value >= unit && i < len(units)-1 {
		value, i = value/unit, i+1
	}
	if value < 10 && value != float64(int64(value)) {
		return fmt.Sprintf("%.1f %s", value, units[i])
	}
	return fmt.Sprintf("%.0f %s", value, units[i])
}

// spanText writes a time, by the second where it is long.
func spanText(d time.Duration) string {
	if d >= 10*time.Second {
		d = d.Round(time.Second)
	} else {
		d = d.Round(100 * time.Millisecond)
	}
	return d.String()
}
