package relay

import (
	"sync"
	"time"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// SQLSTATEs of refusals whose cause is not the client's.
const (
	stateKeyAway   = "57P03"
	stateCorrupted = "XX001"
)

// causeEvery is how often the log tells the cause of one column's refusals.
const causeEvery = time.Second

// causes bounds what is logged. The policy's columns bound its map.
type causes struct {
	mu   sync.Mutex
	told map[string]time.Time
}

// due reports whether a column's cause is to be told now.
func (c *causes) due(column string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, ok := c.told[column]; ok && now.Sub(last) < causeEvery {
		return false
	}
	if c.told == nil {
		c.told = map[string]time.Time{}
	}
	c.told[column] = now
	return true
}

// blame counts a refusal that is the keys' or the stored value's fault, and tells the operator what
// the client is not told. Causes are errors of the keys and the cipher, which hold no value.
func (s *session) blame(r *plan.Refusal) {
	what := ""
	switch {
	case r.Cause == nil:
		return
	case r.SQLState == stateKeyAway:
		s.stats.KeysUnavailable.Add(1)
		what = "the key of a column cannot be had"
	case r.SQLState == stateCorrupted:
		s.stats.NotOpened.Add(1)
		what = "a value does not open"
	default: // the client gave up
		return
	}
	if column := r.Table + "." + r.Column; s.cfg.Shared.causes.due(column+" "+r.SQLState, time.Now()) {
		s.log.Warn(what, "column", column, "cause", r.Cause.Error(), "user", s.pair.User, "database", s.pair.Database)
	}
}
