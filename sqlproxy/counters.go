package sqlproxy

import (
	"sync/atomic"

	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

// counters are what the admin listener shows.
type counters struct {
	open, sessions                     atomic.Int64
	accepted, refused, failed, cancels atomic.Int64
	relay                              relay.Stats
}

// metric is one figure for an operator.
type metric struct {
	name, kind, help string
	value            int64
}

func (c *counters) all() []metric {
	r := &c.relay
	return []metric{
		{"connections", "gauge", "Connections of clients, those on their way in included.", c.open.Load()},
		{"sessions", "gauge", "Clients that have said who they are.", c.sessions.Load()},
		{"connections_total", "counter", "Connections that were accepted.", c.accepted.Load()},
		{"connections_refused_total", "counter", "Connections above a limit.", c.refused.Load()},
		{"logins_failed_total", "counter", "Connections that were not let in.", c.failed.Load()},
		{"cancels_total", "counter", "Requests to cancel that were passed on.", c.cancels.Load()},
		{"statements_total", "counter", "Texts of statements.", r.Statements.Load()},
		{"statements_analysed_total", "counter", "Texts that name something sealed.", r.Analysed.Load()},
		{"statements_refused_total", "counter", "Texts that were refused.", r.Refused.Load()},
		{"rows_opened_total", "counter", "Rows with sealed values that were opened.", r.Rows.Load()},
		{"rows_failed_total", "counter", "Rows of which a value did not open.", r.RowErrors.Load()},
		{"keys_unavailable_total", "counter", "Answers that a key could not be had; the log has the cause.", r.KeysUnavailable.Load()},
		{"values_not_opened_total", "counter", "Answers that a value does not open; the log has the cause.", r.NotOpened.Load()},
		{"values_unopened_total", "counter", "Values of plain columns that seem sealed and were passed as they are.", r.Unopened.Load()},
		{"queries_total", "counter", "Queries of the proxy's own.", r.Queries.Load()},
	}
}
