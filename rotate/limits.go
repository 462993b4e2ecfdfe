package rotate

import (
	"context"
	"time"
)

// Limits slow a job down for the sake of others. Zero fields do not limit.
type Limits struct {
	// RowsPerSecond is how many rows a second are dealt with at most, over all workers of the process.
	RowsPerSecond int `json:"rows_per_second,omitempty"`
	// Share is the part of its time that a worker may spend in the database, above 0 and at most 1:
	// at 0.25 it pauses three times as long as a page took. 0 means 1.
	Share float64 `json:"share,omitempty"`
	// PageTime is what a page should take; pages get smaller or larger, up to
	// Config.PageSize, to come near it. 0 leaves their size.
	PageTime time.Duration `json:"page_time,omitempty"`
	// ReplicaLagBytes and ReplicaLag hold the job while any replica is further behind.
	ReplicaLagBytes int64         `json:"replica_lag_bytes,omitempty"`
	ReplicaLag      time.Duration `json:"replica_lag,omitempty"`
	// WALPerSecond holds the job while the server writes more bytes of WAL a second.
	WALPerSecond int64 `json:"wal_per_second,omitempty"`
	// ActiveConnections holds the job while more of the server's other connections are active.
	ActiveConnections int `json:"active_connections,omitempty"`
	// PauseFile holds the job while the file exists.
	PauseFile string `json:"pause_file,omitempty"`
	// Hours are the hours of the day, in local time, in which the job may run, "22-6" or
	// "1-5,13-14"; "" means all.
	Hours string `json:"hours,omitempty"`
}

// throttle holds workers back. It is used by all workers of a process at once.
type throttle interface {
	// wait returns when the next page may begin, and how many rows it should have at most. While
	// it holds a worker it tells hold why, again whenever that changes.
	wait(ctx context.Context, hold func(reason string)) (rows int, err error)
	// done is told what a page took: its rows, and its time in the database.
	done(rows int, took time.Duration)
	// set changes the limits, as an operator's command does, for workers that wait now too. Where it
	// returns an error, which is that of [Limits.Validate], the limits stay as they were.
	set(l Limits) error
	// lag is how far the furthest replica is behind, in bytes, as last heard; -1 where there is none
	// or no limit asks for it.
	lag() int64
}
