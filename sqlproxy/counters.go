package sqlproxy

import "sync/atomic"

// counters are what the admin listener shows.
type counters struct {
	open, sessions                     atomic.Int64
	accepted, refused, failed, cancels atomic.Int64
}

// metric is one figure for an operator.
type metric struct {
	name, kind, help string
	value            int64
}

func (c *counters) all() []metric {
	return []metric{
		{"connections", "gauge", "Connections of clients, those on their way in included.", c.open.Load()},
		{"sessions", "gauge", "Clients that have said who they are.", c.sessions.Load()},
		{"connections_total", "counter", "Connections that were accepted.", c.accepted.Load()},
		{"connections_refused_total", "counter", "Connections above a limit.", c.refused.Load()},
		{"logins_failed_total", "counter", "Connections that were not let in.", c.failed.Load()},
		{"cancels_total", "counter", "Requests to cancel that were passed on.", c.cancels.Load()},
	}
}
