package rotate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// fakeLoad is a server whose load a test sets. Tests run in bubbles with a clock of their own.
type fakeLoad struct {
	mu    sync.Mutex
	r     reading
	err   error
	asked []questions
}

func (f *fakeLoad) ask(_ context.Context, what questions) (reading, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, what)
	return f.r, f.err
}

func (f *fakeLoad) set(r reading, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.r, f.err = r, err
}

func throttleFor(t *testing.T, l Limits, ask load) *throttler {
	t.Helper()
	th, err := newThrottle(&Config{Dialect: PostgreSQL, PageSize: 1000, Limits: l}, ask)
	if err != nil {
		t.Fatal(err)
	}
	return th.(*throttler)
}

// waiter is a worker that waits.
type waiter struct {
	mu    sync.Mutex
	told  []string
	rows  int
	err   error
	ended bool
}

func startWait(ctx context.Context, th throttle) *waiter {
	w := &waiter{}
	go func() {
		rows, err := th.wait(ctx, func(reason string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.told = append(w.told, reason)
		})
		w.mu.Lock()
		defer w.mu.Unlock()
		w.rows, w.err, w.ended = rows, err, true
	}()
	synctest.Wait()
	return w
}

// held fails the test unless the worker is held, by a reason that reads so.
func (w *waiter) held(t *testing.T, reason string) {
	t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended || len(w.told) == 0 || w.told[len(w.told)-1] != reason {
		t.Fatalf("ended %v (%v), told %q, want to be held by %q", w.ended, w.err, w.told, reason)
	}
}

// released fails the test unless the worker may go on.
func (w *waiter) released(t *testing.T) {
	t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended || w.err != nil || w.rows == 0 {
		t.Fatalf("ended %v with %d rows, %v; told %q", w.ended, w.rows, w.err, w.told)
	}
	if n := len(w.told); n > 0 && w.told[n-1] != "" {
		t.Fatalf("still told %q", w.told[n-1])
	}
}

func TestWithoutLimitsNothingWaitsAndNothingIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask := &fakeLoad{err: errors.New("asked")}
		th := throttleFor(t, Limits{}, ask)
		start := time.Now()
		for range 100 {
			rows, err := th.wait(t.Context(), func(string) { t.Error("held") })
			if rows != 1000 || err != nil {
				t.Fatal(rows, err)
			}
			th.done(rows, time.Hour)
		}
		if time.Since(start) != 0 || th.lag() != -1 {
			t.Errorf("waited %v, lag %d", time.Since(start), th.lag())
		}
	})
}

func TestLimitsAreRefusedWithTheFieldAndWhatItTakes(t *testing.T) {
	for name, tt := range map[string]struct {
		l    Limits
		d    Dialect
		want []string
	}{
		"negative rate":        {Limits{RowsPerSecond: -1}, SQLite, []string{"RowsPerSecond", "at least 1"}},
		"negative page time":   {Limits{PageTime: -1}, SQLite, []string{"PageTime", "200ms"}},
		"negative bytes":       {Limits{ReplicaLagBytes: -1}, PostgreSQL, []string{"ReplicaLagBytes", "bytes"}},
		"negative lag":         {Limits{ReplicaLag: -1}, PostgreSQL, []string{"ReplicaLag ", "10s"}},
		"negative WAL":         {Limits{WALPerSecond: -1}, PostgreSQL, []string{"WALPerSecond", "bytes a second"}},
		"negative connections": {Limits{ActiveConnections: -1}, PostgreSQL, []string{"ActiveConnections", "connections"}},
		"negative share":       {Limits{Share: -0.5}, SQLite, []string{"Share", "0.001 to 1"}},
		"share above one":      {Limits{Share: 25}, SQLite, []string{"Share", "0.001 to 1"}},
		"share of next to none": {
			Limits{Share: 1e-9}, SQLite, []string{"Share", "0.001 to 1"},
		},
		"share that is no number": {Limits{Share: math.NaN()}, SQLite, []string{"Share", "0.001 to 1"}},
		"hours in words":          {Limits{Hours: "at night"}, SQLite, []string{"Hours", "at night", "22-6"}},
		"pause file that cannot be looked at": {
			Limits{PauseFile: "a\x00b"}, SQLite, []string{"PauseFile", "directory"},
		},
		"bytes of lag on SQLite":   {Limits{ReplicaLagBytes: 1}, SQLite, []string{"ReplicaLagBytes", "SQLite", "RowsPerSecond"}},
		"time of lag on SQLite":    {Limits{ReplicaLag: 1}, SQLite, []string{"ReplicaLag ", "SQLite"}},
		"WAL on SQLite":            {Limits{WALPerSecond: 1}, SQLite, []string{"WALPerSecond", "SQLite"}},
		"connections on SQLite":    {Limits{ActiveConnections: 1}, SQLite, []string{"ActiveConnections", "SQLite"}},
		"a load that is not there": {Limits{WALPerSecond: 1}, PostgreSQL, []string{"WALPerSecond", "cannot"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newThrottle(&Config{Dialect: tt.d, Limits: tt.l}, nil)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error()+" ", w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			th := throttleFor(t, Limits{RowsPerSecond: 7}, nil)
			th.dialect = tt.d
			if th.set(tt.l) == nil || th.limits.RowsPerSecond != 7 {
				t.Errorf("set took it: %+v", th.limits)
			}
		})
	}
	t.Run("what needs no server is taken everywhere", func(t *testing.T) {
		l := Limits{RowsPerSecond: 1, Share: 1, PageTime: 1, PauseFile: filepath.Join(t.TempDir(), "p"), Hours: "0-24"}
		if err := l.Validate(SQLite); err != nil {
			t.Error(err)
		}
	})
}

func TestTheServersLoadHoldsAndReleasesAFifthBelow(t *testing.T) {
	lag := func(bytes int64, d time.Duration) reading {
		return reading{replicas: []replica{{name: "10.0.0.6"}, {"10.0.0.7", bytes, d}, {name: "10.0.0.8", bytes: 1}}}
	}
	const mb = 1 << 20
	for name, tt := range map[string]struct {
		limits                 Limits
		at, above, still, free reading
		reason                 string
	}{
		"bytes of lag": {
			Limits{ReplicaLagBytes: 8 * mb},
			lag(8*mb, 0), lag(12*mb, 0), lag(7*mb, 0), lag(6*mb, 0),
			"replica 10.0.0.7 is 12 MB behind (limit 8 MB)",
		},
		"time of lag": {
			Limits{ReplicaLag: 10 * time.Second},
			lag(1, 10*time.Second), lag(1, 75*time.Second), lag(1, 9*time.Second), lag(1, 8*time.Second),
			"replica 10.0.0.7 is 1m15s behind (limit 10s)",
		},
		"WAL": {
			Limits{WALPerSecond: 64 * mb},
			reading{wal: 64 * mb},
			reading{wal: 90 * mb},
			reading{wal: 60 * mb},
			reading{wal: 50 * mb},
			"WAL is written at 90 MB/s (limit 64 MB/s)",
		},
		"connections": {
			Limits{ActiveConnections: 40},
			reading{active: 40},
			reading{active: 41},
			reading{active: 33},
			reading{active: 32},
			"server has 41 other active connections (limit 40)",
		},
		"a single connection, below which there is no fifth": {
			Limits{ActiveConnections: 1},
			reading{active: 1},
			reading{active: 2},
			reading{active: 2},
			reading{active: 1},
			"server has 2 other active connections (limit 1)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ask := &fakeLoad{r: tt.at}
				th := throttleFor(t, tt.limits, ask)
				startWait(t.Context(), th).released(t)
				ask.set(tt.above, nil)
				w := startWait(t.Context(), th)
				w.held(t, tt.reason)
				ask.set(tt.still, nil)
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if w.ended {
					t.Fatal("released near the limit")
				}
				ask.set(tt.free, nil)
				time.Sleep(lookEvery)
				w.released(t)
				ask.set(tt.at, nil)
				startWait(t.Context(), th).released(t)
				if want := tt.limits.questions(); slices.ContainsFunc(ask.asked, func(q questions) bool { return q != want }) {
					t.Errorf("asked %+v for %+v", ask.asked, want)
				}
			})
		})
	}
}

func TestTheFurthestReplicaIsTold(t *testing.T) {
	th := throttleFor(t, Limits{ReplicaLagBytes: 100}, &fakeLoad{r: reading{replicas: []replica{{bytes: 3}, {bytes: 70}, {bytes: 5}}}})
	if _, err := th.wait(t.Context(), func(string) {}); err != nil || th.lag() != 70 {
		t.Errorf("%d, %v", th.lag(), err)
	}
	if err := th.set(Limits{}); err != nil || th.lag() != -1 {
		t.Errorf("without a limit: %d, %v", th.lag(), err)
	}
}

func TestAPauseFileHoldsWhileItExists(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pause")
	synctest.Test(t, func(t *testing.T) {
		th := throttleFor(t, Limits{PauseFile: path}, nil)
		startWait(t.Context(), th).released(t)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		w := startWait(t.Context(), th)
		w.held(t, "pause file "+path+" exists")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		w.released(t)
	})
}

func TestAPauseFileThatCannotBeLookedAtAnyMoreHolds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	path := filepath.Join(dir, "pause")
	synctest.Test(t, func(t *testing.T) {
		th := throttleFor(t, Limits{PauseFile: path}, nil)
		if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the directory was to be
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		w := startWait(ctx, th)
		w.held(t, fmt.Sprintf("pause file %s may exist: stat %s: not a directory", path, path))
		cancel()
	})
}

func TestHoursHoldUntilTheyBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight, UTC
		th := throttleFor(t, Limits{Hours: "1-3, 22-24"}, nil)
		th.now = func() time.Time { return time.Now().UTC() }
		w := startWait(t.Context(), th)
		w.held(t, "outside the hours 1-3, 22-24, goes on at 01:00")
		time.Sleep(time.Hour - time.Second)
		w.held(t, "outside the hours 1-3, 22-24, goes on at 01:00")
		time.Sleep(time.Second)
		w.released(t)
		time.Sleep(2 * time.Hour)
		startWait(t.Context(), th).held(t, "outside the hours 1-3, 22-24, goes on at 22:00")
		time.Sleep(20 * time.Hour)
	})
}

func TestWhatTheServerWillNotSayHoldsAndOtherErrorsEndTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask := &fakeLoad{err: fmt.Errorf("rotate: %w to role app", errUnseen)}
		th := throttleFor(t, Limits{WALPerSecond: 1}, ask)
		w := startWait(t.Context(), th)
		w.held(t, "load cannot be seen: the server does not show its load to role app")
		gone := errors.New("gone")
		ask.set(reading{}, gone)
		time.Sleep(lookEvery)
		synctest.Wait()
		if !w.ended || !errors.Is(w.err, gone) || w.rows != 0 {
			t.Errorf("%v, %d, %v", w.ended, w.rows, w.err)
		}
	})
}

func TestTheContextEndsAWaitAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pause")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]Limits{
		"held":    {PauseFile: path},
		"pacing":  {RowsPerSecond: 1},
		"resting": {Share: 0.01},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				th := throttleFor(t, l, nil)
				if name != "held" {
					if rows, err := th.wait(t.Context(), nil); rows == 0 || err != nil {
						t.Fatal(rows, err)
					}
					th.done(1000, time.Hour)
				}
				ctx, cancel := context.WithCancel(t.Context())
				start := time.Now()
				w := startWait(ctx, th)
				if w.ended {
					t.Fatal("did not wait")
				}
				cancel()
				synctest.Wait()
				if !w.ended || !errors.Is(w.err, context.Canceled) || time.Since(start) != 0 {
					t.Errorf("ended %v with %v after %v", w.ended, w.err, time.Since(start))
				}
				if _, err := th.wait(ctx, nil); !errors.Is(err, context.Canceled) {
					t.Errorf("a wait that began too late: %v", err)
				}
			})
		})
	}
}

func TestSetReachesThoseThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := throttleFor(t, Limits{Share: 0.001}, nil)
		startWait(t.Context(), th).released(t)
		th.done(1000, time.Minute)
		resting := startWait(t.Context(), th) // for 999 minutes
		if err := th.set(Limits{RowsPerSecond: 1}); err != nil {
			t.Fatal(err)
		}
		resting.released(t)
		if resting.rows != 1 {
			t.Errorf("a second has one row, and it got %d", resting.rows)
		}
		paced := startWait(t.Context(), th)
		if err := th.set(Limits{RowsPerSecond: 10}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(101 * time.Millisecond)
		paced.released(t)
		free := startWait(t.Context(), th)
		if err := th.set(Limits{}); err != nil {
			t.Fatal(err)
		}
		free.released(t)
	})
}

func TestAWorkerRestsAsItsShareSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := throttleFor(t, Limits{Share: 0.25}, nil)
		start, busy := time.Now(), time.Duration(0)
		for i := range 50 {
			if _, err := th.wait(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			took := time.Duration(i+1) * 10 * time.Millisecond
			time.Sleep(took)
			busy += took
			th.done(1000, took)
		}
		if _, err := th.wait(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if share := busy.Seconds() / time.Since(start).Seconds(); math.Abs(share-0.25) > 1e-6 {
			t.Errorf("was in the database for %v of the time", share)
		}
	})
}

// TestTheRateIsNeverExceeded lets workers with pages of any duration run under rates that change.
func TestTheRateIsNeverExceeded(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		rate := rapid.IntRange(1, 5000).Draw(r, "rate")
		later := rapid.IntRange(1, 5000).Draw(r, "rate later")
		workers := rapid.IntRange(1, 8).Draw(r, "workers")
		took := rapid.SliceOfN(rapid.Int64Range(0, int64(2*time.Second)), 1, 20).Draw(r, "took")
		grants := rateRun(t, rate, later, workers, took)
		top := float64(max(rate, later))
		for i := range grants {
			sum := 0
			for _, g := range grants[i:] {
				sum += g.rows
				if window := g.at.Sub(grants[i].at).Seconds(); float64(sum) > top*(window+1)+1e-3 {
					r.Fatalf("%d rows in %v s at %v rows/s", sum, window, top)
				}
			}
		}
		total, span := 0, 20.0
		for _, g := range grants {
			total += g.rows
		}
		if rate == later && slices.Max(took) < int64(time.Second/2) && float64(total) < 0.4*min(top, 1000)*span {
			r.Fatalf("only %d rows in %v s at %v rows/s", total, span, top)
		}
	})
}

type grant struct {
	at   time.Time
	rows int
}

// rateRun runs workers for 20 seconds.
func rateRun(t *testing.T, rate, later, workers int, took []int64) (grants []grant) {
	synctest.Test(t, func(t *testing.T) {
		th := throttleFor(t, Limits{RowsPerSecond: rate}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var mu sync.Mutex
		var all sync.WaitGroup
		for w := range workers {
			all.Go(func() {
				for i := w; ; i++ {
					rows, err := th.wait(ctx, nil)
					if err != nil {
						return
					}
					mu.Lock()
					grants = append(grants, grant{time.Now(), rows})
					mu.Unlock()
					d := time.Duration(took[i%len(took)])
					time.Sleep(max(d, time.Millisecond))
					th.done(rows, d)
				}
			})
		}
		time.Sleep(10 * time.Second)
		if err := th.set(Limits{RowsPerSecond: later}); err != nil {
			t.Fatal(err)
		}
		all.Wait()
	})
	return grants
}

// TestPagesComeNearTheirTime: for any cost of pages and rows, the size settles where a page takes
// about PageTime, or at the bound beyond which it cannot.
func TestPagesComeNearTheirTime(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		perRow := time.Duration(rapid.Int64Range(1, int64(20*time.Millisecond)).Draw(r, "per row"))
		perPage := time.Duration(rapid.Int64Range(0, int64(50*time.Millisecond)).Draw(r, "per page"))
		target := time.Duration(rapid.Int64Range(int64(100*time.Millisecond), int64(2*time.Second)).Draw(r, "target"))
		top := rapid.IntRange(1, 5000).Draw(r, "page size")
		th, err := newThrottle(&Config{Dialect: SQLite, PageSize: top, Limits: Limits{PageTime: target}}, nil)
		if err != nil {
			r.Fatal(err)
		}
		cost := func(rows int) time.Duration { return perPage + time.Duration(rows)*perRow }
		page := func() int {
			rows, err := th.wait(context.Background(), nil)
			if err != nil || rows < min(top, 50) || rows > top {
				r.Fatalf("%d rows, %v", rows, err)
			}
			return rows
		}
		for range 100 {
			rows := page()
			th.done(rows, cost(rows))
		}
		rows := page()
		near := float64(cost(rows)) / float64(target)
		if near > 1.1 && rows > min(top, 50) || near < 0.9 && rows < top {
			r.Fatalf("%d rows take %v, which is to be %v", rows, cost(rows), target)
		}
	})
}

func TestASlowPageHalvesTheSizeOnceForAllWorkers(t *testing.T) {
	th := throttleFor(t, Limits{PageTime: 100 * time.Millisecond}, nil)
	th.pace.size = 800
	th.done(800, time.Second)
	th.done(800, time.Second)
	if th.pace.size != 400 {
		t.Errorf("%d rows behind two slow pages of 800", th.pace.size)
	}
	th.done(3, time.Hour) // a range's last page, behind somebody's lock
	if th.pace.size != 400 {
		t.Errorf("%d rows behind a slow page of three", th.pace.size)
	}
	th.done(400, 10*time.Millisecond)
	if th.pace.size != 440 {
		t.Errorf("%d rows behind a quick page of 400", th.pace.size)
	}
}
