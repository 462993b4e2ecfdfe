package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"
	"time"
)

// load asks a server how busy it is. It is used by all workers of a process at once.
type load interface {
	// ask returns an answer that is a second old at most. Its error is errUnseen where the server will
	// not say.
	ask(ctx context.Context, what questions) (reading, error)
}

// questions are what is to be known.
type questions struct{ replicas, wal, active bool }

// reading is a server's load. What was not asked for is zero.
type reading struct {
	replicas []replica
	wal      int64 // bytes of WAL written a second, over about five seconds
	active   int64 // other connections with a statement under way
}

// replica is a standby or subscriber that is connected to the server.
type replica struct {
	name  string        // its address
	bytes int64         // of WAL that it has not replayed
	lag   time.Duration // since the first of them were written
}

// furthest returns the replica that is furthest behind in bytes, and in time.
func (r reading) furthest() (far, late replica) {
	for _, x := range r.replicas {
		if x.bytes >= far.bytes {
			far = x
		}
		if x.lag >= late.lag {
			late = x
		}
	}
	return far, late
}

// errUnseen: the server is not one that shows what a limit needs to know, or not to this role.
var errUnseen = errors.New("the server does not show its load")

const (
	// askEvery is how old an answer may be.
	askEvery = time.Second
	// walWindow is over how long the rate of WAL is averaged: the pages of the job itself come in bursts.
	walWindow = 5 * time.Second
)

// newLoad is the load of cfg's database. It is asked once where cfg's limits need it; nil for dialects that
// cannot be asked.
func newLoad(ctx context.Context, cfg *Config) (load, error) {
	if err := cfg.Limits.Validate(cfg.Dialect); err != nil {
		return nil, err
	}
	if cfg.Dialect != PostgreSQL {
		return nil, nil
	}
	p := &postgresLoad{db: cfg.DB, now: time.Now, turn: make(chan struct{}, 1)}
	if what := cfg.Limits.questions(); what != (questions{}) {
		if _, err := p.ask(ctx, what); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// postgresLoad asks a PostgreSQL, with one connection at a time.
type postgresLoad struct {
	db   *sql.DB
	now  func() time.Time
	turn chan struct{} // filled by the one that asks; the others wait for its answer

	// Of the last answer:
	at    time.Time
	asked questions
	last  reading
	err   error

	wal history
}

func (p *postgresLoad) ask(ctx context.Context, what questions) (reading, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return reading{}, ctx.Err()
	}
	if p.now().Sub(p.at) < askEvery && p.asked == what {
		return p.last, p.err
	}
	r, err := p.read(ctx, what)
	if ctx.Err() != nil {
		return reading{}, ctx.Err() // this worker's, not the server's
	}
	if err != nil && !errors.Is(err, errUnseen) {
		err = fmt.Errorf("rotate: asking the server for its load: %w", err)
	}
	p.at, p.asked, p.last, p.err = p.now(), what, r, err
	return r, err
}

func (p *postgresLoad) read(ctx context.Context, what questions) (r reading, err error) {
	position, err := p.position(ctx, what)
	if err != nil {
		return reading{}, err
	}
	p.wal.add(p.now(), position)
	r.wal = int64(p.wal.rate)
	if what.replicas {
		if r.replicas, err = p.replicas(ctx); err != nil {
			return reading{}, err
		}
	}
	if what.active {
		if r.active, err = p.active(ctx); err != nil {
			return reading{}, err
		}
	}
	return r, nil
}

// position is where the server's WAL ends. It fails with errUnseen where the other questions would get
// no answer: to a role without pg_read_all_stats the views show rows with nothing in them.
func (p *postgresLoad) position(ctx context.Context, what questions) (int64, error) {
	var standby, sees bool
	var role string
	var position sql.NullInt64
	err := p.db.QueryRowContext(ctx, `SELECT pg_is_in_recovery(),
		pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), quote_ident(current_user),
		CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint END`).
		Scan(&standby, &sees, &role, &position)
	switch {
	case err != nil:
		return 0, err
	case standby:
		return 0, fmt.Errorf("rotate: %w: it is a standby, in recovery; give the primary's address, or leave the limits "+
			"on replicas, WAL and connections out", errUnseen)
	case !sees && (what.replicas || what.active):
		return 0, fmt.Errorf("rotate: %w to role %s, and the limits on replicas and connections need it; "+
			"run GRANT pg_monitor TO %s, or leave them out", errUnseen, role, role)
	}
	return position.Int64, nil
}

// replicas asks for those that stream or catch up; a backup is none. pg_receivewal replays nothing and is
// measured by what it has written.
func (p *postgresLoad) replicas(ctx context.Context) (found []replica, err error) {
	rows, err := p.db.QueryContext(ctx, `SELECT coalesce(host(client_addr), ''), coalesce(application_name, ''),
		pg_wal_lsn_diff(pg_current_wal_lsn(), at)::bigint, pg_wal_lsn_diff(at, '0/0')::bigint,
		coalesce(extract(epoch FROM replay_lag), 0)::float8
		FROM (SELECT *, coalesce(replay_lsn, write_lsn) AS at FROM pg_stat_replication) s
		WHERE state IN ('streaming', 'catchup') AND at IS NOT NULL ORDER BY client_addr, application_name, pid`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	now := p.now()
	for rows.Next() {
		var address, name string
		var behind, position int64
		var seconds float64
		if err := rows.Scan(&address, &name, &behind, &position, &seconds); err != nil {
			return nil, err
		}
		r := replica{name: replicaName(address, name), bytes: max(0, behind)}
		if r.bytes > 0 {
			// replay_lag stands still while replay does, so that a replica that replays nothing would seem
			// to be in time for ever; what was seen of the WAL's growth knows better.
			r.lag = max(time.Duration(seconds*float64(time.Second)), p.wal.since(position, now))
		}
		found = append(found, r)
	}
	return found, rows.Err()
}

// replicaName is the address, and the name where the replica has one of its own.
func replicaName(address, name string) string {
	parts := make([]string, 0, 2)
	if address != "" {
		parts = append(parts, address)
	}
	if address == "" || name != "" && name != "walreceiver" {
		parts = append(parts, strings.TrimSpace(name))
	}
	return strings.Join(parts, " ")
}

// active counts connections with a statement under way but this process's own: of those that look like
// the one that asks, as many as the pool had in use.
func (p *postgresLoad) active(ctx context.Context) (int64, error) {
	own := int64(p.db.Stats().InUse)
	var all, alike int64
	err := p.db.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (WHERE a.usesysid = me.usesysid
			AND a.application_name = me.application_name AND a.client_addr IS NOT DISTINCT FROM me.client_addr)
		FROM pg_stat_activity a, (SELECT * FROM pg_stat_activity WHERE pid = pg_backend_pid()) me
		WHERE a.backend_type = 'client backend' AND a.state IN ('active', 'fastpath function call')
			AND a.pid <> me.pid`).Scan(&all, &alike)
	return all - min(alike, own), err
}

// history is how the WAL grew.
type history struct {
	points []point
	rate   float64 // bytes a second, averaged over walWindow
	last   point
}

// point is where the WAL ended at a time.
type point struct {
	at       time.Time
	position int64
}

// maxPoints bounds a history. One that is full keeps, of its older points, only some: between two of them
// lies a 64th of their age, which reaches back for a year.
const (
	maxPoints = 1024
	sparsity  = 64
)

func (h *history) add(at time.Time, position int64) {
	now := point{at, position}
	if position < h.last.position { // another server, after a failover
		*h = history{}
	}
	if elapsed := at.Sub(h.last.at).Seconds(); len(h.points) > 0 && elapsed > 0 {
		lately := float64(position-h.last.position) / elapsed
		h.rate += (lately - h.rate) * (1 - math.Exp(-elapsed/walWindow.Seconds()))
	}
	h.last = now
	if n := len(h.points); n > 0 && h.points[n-1].position == position {
		return
	}
	if len(h.points) == maxPoints {
		h.thin(at)
	}
	h.points = append(h.points, now)
}

func (h *history) thin(now time.Time) {
	kept := h.points[:1]
	for _, p := range h.points[1:] {
		if p.at.Sub(kept[len(kept)-1].at) >= now.Sub(p.at)/sparsity {
			kept = append(kept, p)
		}
	}
	if len(kept) == maxPoints { // a job of years
		kept = append(kept[:0], kept[1:]...)
	}
	h.points = kept
}

// since is how long ago it was first seen that the WAL was beyond position.
func (h *history) since(position int64, now time.Time) time.Duration {
	i := sort.Search(len(h.points), func(i int) bool { return h.points[i].position > position })
	if i == len(h.points) {
		return 0
	}
	return now.Sub(h.points[i].at)
}
