package sqlstore

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
)

// listening runs Watch and hands on what it tells.
func listening(t *testing.T, s *Store) (changed chan envelope.KeyID, gaps chan error) {
	t.Helper()
	changed, gaps = make(chan envelope.KeyID, 100), make(chan error, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Watch(ctx, func(ids []envelope.KeyID) {
			for _, id := range ids {
				changed <- id
			}
		}, func(reason error) { gaps <- reason })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch ended with %v", err)
		}
	})
	if reason := receive(t, gaps); reason != nil {
		t.Fatalf("the first gap is for %v", reason)
	}
	return changed, gaps
}

func receive[T any](t *testing.T, c chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-soon(t).Done():
		t.Fatal("nothing came")
	}
	return v
}

func TestListenersLearnOfChangesOfState(t *testing.T) {
	dsn := testpg.DSN(t)
	s, other := initialized(t, dsn), open(t, dsn)
	changed, _ := listening(t, other)
	a := create(t, s, key("a", 1))[0]
	change := func(to keyring.Record) {
		t.Helper()
		if done, err := s.Update(t.Context(), a, to); !done || err != nil {
			t.Fatal(done, err)
		}
		a = to
	}
	rewrapped := a
	rewrapped.Wraps = []kms.Wrapped{{RootKey: "local:5f0c/3", Blob: []byte("new")}}
	change(rewrapped) // of which nobody needs to know
	mustExec(t, s.db, "NOTIFY rowseal_keys, 'what somebody else sends'")
	change(with(keyring.Retired, a))
	change(with(keyring.Destroyed, a))
	sentinel := create(t, s, key("b", 1))[0]
	if done, err := s.Update(t.Context(), sentinel, with(keyring.Retired, sentinel)); !done || err != nil {
		t.Fatal(done, err)
	}
	mark := keyring.Record{ID: newID(), Tenant: "c", Purpose: keyring.PurposeTenant, Version: 1, State: keyring.Destroyed}
	create(t, s, mark)
	ended := mark
	ended.Parent = mark.ID
	if done, err := s.Update(t.Context(), mark, ended); !done || err != nil {
		t.Fatal(done, err)
	}
	for i, want := range []envelope.KeyID{a.ID, a.ID, sentinel.ID, mark.ID, mark.ID} {
		if got := receive(t, changed); got != want {
			t.Errorf("change %d is of %v, want %v", i+1, got, want)
		}
	}
}

// TestNoiseHoldsBackNoChange: any role that may connect can send on the channel, without end.
func TestNoiseHoldsBackNoChange(t *testing.T) {
	dsn := testpg.DSN(t)
	s, other := initialized(t, dsn), open(t, dsn)
	changed, _ := listening(t, other)
	a := create(t, s, key("a", 1))[0]
	noise, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for noise.Err() == nil {
				_, _ = s.db.ExecContext(noise, "NOTIFY rowseal_keys, 'noise'")
			}
		})
	}
	defer wg.Wait()
	defer stop()
	if done, err := s.Update(t.Context(), a, with(keyring.Retired, a)); !done || err != nil {
		t.Fatal(done, err)
	}
	if got := receive(t, changed); got != a.ID {
		t.Errorf("got %v", got)
	}
}

func TestAListenerComesBackAndSaysThatItMissedSomething(t *testing.T) {
	dsn := testpg.DSN(t)
	s, other := initialized(t, dsn), open(t, dsn)
	changed, gaps := listening(t, other)
	mustExec(t, s.db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'")
	if reason := receive(t, gaps); reason == nil {
		t.Error("the gap has no reason")
	}
	a := create(t, s, key("a", 1))[0]
	if done, err := s.Update(t.Context(), a, with(keyring.Retired, a)); !done || err != nil {
		t.Fatal(done, err)
	}
	if got := receive(t, changed); got != a.ID {
		t.Errorf("got %v", got)
	}
}

func TestAListenersConnectionIsNotGivenBack(t *testing.T) {
	s := initialized(t, testpg.DSN(t))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	listened := false
	if _, err := s.listen(ctx, func([]envelope.KeyID) {}, func() { listened = true }); !listened || err == nil {
		t.Errorf("listened %v, %v", listened, err)
	}
	for range poolSize + 1 { // no connection is lost with it
		if _, err := s.Now(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProductsThatCannotTellSaySo(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		if s.dialect.watch != nil {
			return // TestListenersLearnOfChangesOfState
		}
		if err := s.Watch(t.Context(), nil, nil); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("got %v", err)
		}
	})
}
