package sqlproxy

import "sync/atomic"

// counters are what the admin listener shows.
type counters struct {
	open, sessions                     atomic.Int64
	accepted, refused, failed, cancels atomic.Int64
}
