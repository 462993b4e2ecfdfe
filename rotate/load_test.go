package rotate

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/internal/testpg"
)

func connect(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func execOn(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// loadOf is the load of db whose clock is ahead by what the returned function adds.
func loadOf(db *sql.DB) (p *postgresLoad, pass func(time.Duration)) {
	var mu sync.Mutex
	var ahead time.Duration
	p = &postgresLoad{db: db, turn: make(chan struct{}, 1), now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}}
	return p, func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		ahead += d
	}
}

// TestAReplicaHeldBackHoldsTheJob has a real replica that stops replaying, by both limits on lag.
func TestAReplicaHeldBackHoldsTheJob(t *testing.T) {
	primary := testpg.Start(t, map[string]string{"synchronous_commit": "on"}) // else the WAL is written a moment later
	standby := testpg.Replica(t, primary)
	replica := connect(t, standby.DSN("postgres"))
	db := connect(t, primary.DSN("postgres"))
	execOn(t, db, "CREATE TABLE t AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 2000)")
	for name, l := range map[string]Limits{
		"bytes": {ReplicaLagBytes: 1 << 20},
		"time":  {ReplicaLag: 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			ask, pass := loadOf(db)
			th, err := newThrottle(&Config{DB: db, Dialect: PostgreSQL, Limits: l}, ask)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := th.wait(t.Context(), func(string) {}); err != nil {
				t.Fatal(err) // whatever lag the CREATE left is gone in a moment
			}
			testpg.HoldBack(t, standby)
			execOn(t, db, "UPDATE t SET x = x || 'y'") // some 2 MB
			pass(askEvery)
			if _, err := ask.ask(t.Context(), l.questions()); err != nil { // sees the WAL's growth
				t.Fatal(err)
			}
			pass(time.Minute)
			reasons := make(chan string)
			ended := make(chan error, 1)
			go func() {
				_, err := th.wait(t.Context(), func(reason string) { reasons <- reason })
				close(reasons)
				ended <- err
			}()
			held := <-reasons
			if HeldBy(held) != "replica" || !strings.HasPrefix(held, "replica 127.0.0.1 is ") || th.lag() < 1<<20 {
				t.Errorf("held by %q with a lag of %d", held, th.lag())
			}
			execOn(t, replica, "SELECT pg_wal_replay_resume()")
			last := held
			for reason := range reasons {
				last = reason
			}
			if err := <-ended; err != nil || last != "" {
				t.Errorf("went on with %v, told %q", err, last)
			}
			if th.lag() > 1<<20 {
				t.Errorf("went on with a lag of %d", th.lag())
			}
		})
	}
}

func TestAStandbyAndARoleThatSeesNothingAreRefused(t *testing.T) {
	primary := testpg.Start(t, nil)
	admin := connect(t, primary.DSN("postgres"))
	execOn(t, admin, `CREATE ROLE "the app" LOGIN PASSWORD 'pw'`)
	u, err := url.Parse(primary.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("the app", "pw")
	app := connect(t, u.String())
	standby := connect(t, testpg.Replica(t, primary).DSN("postgres"))

	start := func(db *sql.DB, l Limits) error {
		_, err := startThrottle(t.Context(), &Config{DB: db, Dialect: PostgreSQL, Limits: l})
		return err
	}
	for _, l := range []Limits{{ReplicaLagBytes: 1}, {ReplicaLag: 1}, {ActiveConnections: 1}} {
		if err := start(app, l); !errors.Is(err, errUnseen) || !strings.Contains(err.Error(), `GRANT pg_monitor TO "the app"`) {
			t.Errorf("%+v: %v", l, err)
		}
	}
	for _, l := range []Limits{{ReplicaLagBytes: 1}, {ReplicaLag: 1}, {ActiveConnections: 1}, {WALPerSecond: 1}} {
		if err := start(standby, l); !errors.Is(err, errUnseen) || !strings.Contains(err.Error(), "primary") {
			t.Errorf("%+v on the standby: %v", l, err)
		}
	}
	for _, l := range []Limits{{}, {WALPerSecond: 1}} {
		if err := start(app, l); err != nil {
			t.Errorf("%+v needs no grant: %v", l, err)
		}
	}
	if err := start(standby, Limits{RowsPerSecond: 1}); err != nil {
		t.Errorf("a rate needs no question: %v", err)
	}
	execOn(t, admin, `GRANT pg_monitor TO "the app"`)
	if err := start(app, Limits{ReplicaLagBytes: 1 << 40, ActiveConnections: 1}); err != nil {
		t.Errorf("with the grant that the error names: %v", err)
	}
}

func TestTheRateOfWALIsMeasured(t *testing.T) {
	db := connect(t, testpg.DSN(t))
	db.SetMaxOpenConns(1)
	execOn(t, db, "SET synchronous_commit = on") // else the WAL is written a moment later
	ask, pass := loadOf(db)
	if r, err := ask.ask(t.Context(), questions{wal: true}); err != nil || r.wal != 0 {
		t.Fatal(r, err)
	}
	execOn(t, db, "CREATE TABLE t AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 5000)") // some 5 MB
	pass(10 * time.Second)
	r, err := ask.ask(t.Context(), questions{wal: true})
	if err != nil || r.wal < 300<<10 {
		t.Errorf("%d bytes a second, %v; want about 500 kB", r.wal, err)
	}
}

func TestOtherActiveConnectionsAreCountedWithoutOurs(t *testing.T) {
	server := testpg.Start(t, nil) // one that nobody else is busy on
	db := connect(t, server.DSN("postgres"))
	other := connect(t, server.DSN("postgres")+"&application_name=other")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sleepOn := func(db *sql.DB, n int) {
		for range n {
			go func() { _, _ = db.ExecContext(ctx, "SELECT pg_sleep(600)") }()
		}
	}
	sleepOn(db, 3)
	sleepOn(other, 2)
	watch := connect(t, server.DSN("postgres")+"&application_name=watch")
	for n := 0; n < 5; {
		if err := watch.QueryRowContext(t.Context(),
			"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'").Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	ask, _ := loadOf(db)
	if r, err := ask.ask(t.Context(), questions{active: true}); err != nil || r.active != 2 {
		t.Errorf("%d others are active, %v; want 2", r.active, err)
	}
}

func TestTheServerIsAskedOnceASecondForAllWorkers(t *testing.T) {
	db := connect(t, testpg.DSN(t))
	db.SetMaxOpenConns(1)
	ask, pass := loadOf(db)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := ask.ask(t.Context(), questions{wal: true}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait() // one after the other, or the only connection would not do
	first := ask.at
	pass(askEvery / 4)
	if _, err := ask.ask(t.Context(), questions{wal: true}); err != nil || !ask.at.Equal(first) {
		t.Errorf("asked again at once: %v", err)
	}
	if _, err := ask.ask(t.Context(), questions{wal: true, replicas: true}); err != nil || ask.at.Equal(first) {
		t.Errorf("what was not asked before was not asked: %v", err)
	}
	second := ask.at
	pass(askEvery)
	if _, err := ask.ask(t.Context(), questions{wal: true, replicas: true}); err != nil || ask.at.Equal(second) {
		t.Errorf("a second later the answer is old: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	pass(askEvery)
	if _, err := ask.ask(t.Context(), questions{wal: true}); err == nil || errors.Is(err, errUnseen) {
		t.Errorf("a closed database: %v", err)
	}
}

func TestAWorkersContextEndsItsQuestionOnly(t *testing.T) {
	db := connect(t, testpg.DSN(t))
	ask, _ := loadOf(db)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ask.ask(gone, questions{wal: true}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ask.turn <- struct{}{} // another worker asks
	if _, err := ask.ask(gone, questions{wal: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("in the queue: %v", err)
	}
	<-ask.turn
	if _, err := ask.ask(t.Context(), questions{wal: true}); err != nil {
		t.Errorf("the next worker: %v", err)
	}
}

func TestHistoryKnowsHowLateAPositionIs(t *testing.T) {
	var h history
	start := time.Unix(1e9, 0)
	for i := range 10 * maxPoints {
		h.add(start.Add(time.Duration(i)*time.Second), int64(i)*100)
	}
	end := start.Add((10*maxPoints - 1) * time.Second)
	if len(h.points) > maxPoints {
		t.Fatalf("%d points", len(h.points))
	}
	if got := h.since(h.last.position, end); got != 0 {
		t.Errorf("up to date is %v late", got)
	}
	for _, late := range []int64{3, 600, 9000} { // seconds; thinned the further back it is
		got := h.since(h.last.position-late*100, end).Seconds()
		if got > float64(late) || got < 0.95*float64(late)-1 {
			t.Errorf("%d s is %v s late", late, got)
		}
	}
	if h.rate < 99 || h.rate > 101 {
		t.Errorf("%v bytes a second, want 100", h.rate)
	}
	h.add(end.Add(time.Second), 5)
	if h.rate != 0 || h.since(0, end.Add(time.Second)) != 0 || len(h.points) != 1 {
		t.Errorf("after a failover: %+v", h)
	}
}

func TestReplicasAreNamed(t *testing.T) {
	for _, tt := range [][3]string{
		{"10.0.0.7", "walreceiver", "10.0.0.7"},
		{"10.0.0.7", "", "10.0.0.7"},
		{"10.0.0.7", "berlin", "10.0.0.7 berlin"},
		{"", "berlin", "berlin"},
		{"", "walreceiver", "walreceiver"},
	} {
		if got := replicaName(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%q %q: %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
}
