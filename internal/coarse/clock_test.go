package coarse

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnInjectedClockIsReadEveryTime(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := New(func() time.Time { return now }, time.Hour)
	for _, step := range []time.Duration{0, 1, 2, time.Nanosecond, time.Minute, 48 * time.Hour} {
		before := c.Now()
		now = now.Add(step)
		if got := c.Now() - before; got != int64(step) {
			t.Fatalf("advanced by %v, want %v", time.Duration(got), step)
		}
	}
	if c.Lag() != 0 {
		t.Fatalf("Lag of an exact clock is %v", c.Lag())
	}
}

func TestAnInjectedClockThatIsSetBackDoesNotGoBack(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	c := New(func() time.Time { return now }, 0)
	now = now.Add(10 * time.Second)
	want := c.Now()
	now = now.Add(-5 * time.Second)
	if got := c.Now(); got != want {
		t.Fatalf("read %d after %d", got, want)
	}
}

func TestItIsNeverEarlyAndAtMostOneResolutionLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(nil, 0)
		origin := time.Now()
		if c.Lag() != DefaultResolution {
			t.Fatalf("Lag is %v, want %v", c.Lag(), DefaultResolution)
		}
		for range 500 {
			late := time.Since(origin) - time.Duration(c.Now())
			if late < 0 || late > DefaultResolution {
				t.Fatalf("late by %v at %v", late, time.Since(origin))
			}
			time.Sleep(7 * time.Millisecond)
			synctest.Wait()
		}
	})
}

func TestItTicksWhileReadAndStopsAfterAnIdleSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(nil, 0)
		if c.state.Load() != stopped {
			t.Fatal("a clock that nobody read is ticking")
		}
		for range 10 { // read every 900 ms: it must not stop in between
			c.Now()
			time.Sleep(900 * time.Millisecond)
			synctest.Wait()
			if c.state.Load() == stopped {
				t.Fatal("stopped although it was read within the second")
			}
		}
		c.Now()
		time.Sleep(idleStop + 2*DefaultResolution)
		synctest.Wait()
		if c.state.Load() != stopped {
			t.Fatal("still ticking after an idle second")
		}
	})
}

func TestAStoppedClockAnswersWithTheRealTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(nil, 0)
		origin := time.Now()
		for _, pause := range []time.Duration{0, 5 * time.Second, time.Hour + 12345} {
			time.Sleep(pause)
			synctest.Wait()
			if got, want := c.Now(), int64(time.Since(origin))&^1; got != want {
				t.Fatalf("after %v: read %d, want %d", pause, got, want)
			}
		}
	})
}

func TestItNeverGoesBackwardsAcrossGoroutines(t *testing.T) {
	c := New(nil, 100*time.Microsecond)
	var seen atomic.Int64
	var wg sync.WaitGroup
	stop := time.Now().Add(200 * time.Millisecond)
	for range 8 {
		wg.Go(func() {
			for i := 0; time.Now().Before(stop); i++ {
				before := seen.Load()
				got := c.Now()
				if got < before {
					t.Errorf("read %d after %d", got, before)
					return
				}
				for old := seen.Load(); old < got && !seen.CompareAndSwap(old, got); old = seen.Load() {
				}
				if i%64 == 0 { // restart often: starting is where it could go back
					c.mu.Lock()
					c.timer.Stop()
					c.state.Store(stopped)
					c.mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
}

func TestTimeAndAtAreInverse(t *testing.T) {
	for _, c := range []*Clock{New(nil, 0), New(time.Now, 0)} {
		for _, n := range []int64{0, 1, 1e9, -5e9, 3600e9} {
			if got := c.At(c.Time(n)); got != n {
				t.Errorf("At(Time(%d)) = %d", n, got)
			}
		}
	}
}

func TestAtSaturatesWhereTheTimeIsOutOfRange(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	c := New(func() time.Time { return now }, 0)
	now = now.Add(time.Hour)
	if got := c.At(now.AddDate(1000, 0, 0)); got != math.MaxInt64 {
		t.Errorf("a millennium ahead is %d", got)
	}
	now = now.Add(-2 * time.Hour)
	if got := c.At(now.AddDate(-1000, 0, 0)); got != math.MinInt64 {
		t.Errorf("a millennium ago is %d", got)
	}
}

func TestAtGoesByTheTimeLeftWhenTheWallClockWasSet(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	c := New(func() time.Time { return now }, 0)
	now = now.Add(30 * time.Second)
	if got := c.At(now.Add(time.Minute)) - c.Now(); got != int64(time.Minute) {
		t.Fatalf("a minute from now is %v from now", time.Duration(got))
	}
}

var sink int64

func BenchmarkNow(b *testing.B) {
	c := New(nil, 0)
	for b.Loop() {
		sink = c.Now()
	}
}

func BenchmarkTimeSince(b *testing.B) {
	origin := time.Now()
	for b.Loop() {
		sink = int64(time.Since(origin))
	}
}
