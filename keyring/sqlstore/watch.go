package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/envelope"
)

// Watch implements keyring.Watcher. On PostgreSQL it holds one connection of
// the pool, which listens on the channel rowseal_keys; behind a pooler that gives
// each transaction another server connection nothing is heard. MySQL and SQLite cannot tell.
func (s *Store) Watch(ctx context.Context, changed func(ids []envelope.KeyID), gap func(reason error)) error {
	if s.dialect.watch == nil {
		return &Error{
			Op: "watch", Store: s.name, Err: errors.ErrUnsupported,
			Remedy: "this database tells of no changes; they are seen within the cache's TTL",
		}
	}
	return s.dialect.watch(ctx, s, changed, gap)
}

// How a listener waits.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 30 * time.Second
	// probeEvery is how long a listener trusts a connection on which nothing
	// comes: one whose other end is gone says nothing either.
	probeEvery = time.Minute
	probeWait  = 10 * time.Second
	// gather is how long a listener waits for more of what comes in bursts, so
	// that the caches are searched once.
	gather = 20 * time.Millisecond
	// maxGathered and maxGather bound what is waited for, by number and since the first: any role
	// that may connect can send, and must not hold back what is real by sending again and again.
	maxGathered = 1000
	maxGather   = 50 * time.Millisecond
)

// watchPostgres listens, and again after each interruption.
func watchPostgres(ctx context.Context, s *Store, changed func([]envelope.KeyID), gap func(error)) error {
	pause := firstPause
	var reason error
	for {
		heard, err := s.listen(ctx, changed, func() { gap(reason) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, errors.ErrUnsupported) {
			return s.fail("watch", err)
		}
		if reason = s.fail("watch", err); heard {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, maxPause)
	}
}

// listen takes a connection and reads notifications until it fails. heard says
// that it got so far as to listen.
func (s *Store) listen(ctx context.Context, changed func([]envelope.KeyID), begin func()) (heard bool, err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return false, err
	}
	var cause error
	// ErrBadConn has the pool throw the connection away, which goes on listening otherwise.
	_ = conn.Raw(func(raw any) error {
		c, ok := raw.(*stdlib.Conn)
		if !ok {
			cause = errors.ErrUnsupported
			return nil
		}
		if _, cause = c.Conn().Exec(ctx, "LISTEN "+pgChannel); cause == nil {
			heard = true
			begin()
			cause = hear(ctx, c.Conn(), changed)
		}
		return driver.ErrBadConn
	})
	_ = conn.Close() // it is gone already
	return heard, cause
}

// hear passes notifications on until the connection fails.
func hear(ctx context.Context, conn *pgx.Conn, changed func([]envelope.KeyID)) error {
	for {
		var ids []envelope.KeyID
		var until time.Time
		for wait := probeEvery; len(ids) < maxGathered; wait = min(gather, time.Until(until)) {
			if !until.IsZero() && wait <= 0 {
				break
			}
			id, heard, err := next(ctx, conn, wait)
			if err != nil {
				if len(ids) > 0 {
					changed(ids)
				}
				return err
			}
			if !heard {
				break
			}
			if until.IsZero() {
				until = time.Now().Add(maxGather)
			}
			if id != (envelope.KeyID{}) {
				ids = append(ids, id)
			}
		}
		if len(ids) > 0 {
			changed(ids)
			continue
		}
		if err := probe(ctx, conn); err != nil {
			return err
		}
	}
}

// next waits for a notification; heard is false where none came in time. The id is
// zero where it names no key: whoever may connect can send what he likes.
func next(ctx context.Context, conn *pgx.Conn, wait time.Duration) (id envelope.KeyID, heard bool, err error) {
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	n, err := conn.WaitForNotification(limited)
	switch {
	case err != nil && ctx.Err() == nil && limited.Err() != nil && !conn.IsClosed():
		return id, false, nil
	case err != nil:
		return id, false, err
	case !parseID(&id, n.Payload):
		return envelope.KeyID{}, true, nil
	}
	return id, true, nil
}

func probe(ctx context.Context, conn *pgx.Conn) error {
	limited, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	return conn.Ping(limited)
}
