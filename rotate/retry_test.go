package rotate

import (
	"context"
	"errors"
	"testing"
)

// stubborn is a database whose writes fail a number of times.
type stubborn struct {
	database
	failures int
	writes   int
	err      error
}

func (s *stubborn) write(context.Context, *target, []change) ([]int, error) {
	if s.writes++; s.writes <= s.failures {
		return nil, s.err
	}
	return nil, nil
}

type sqlState string

func (s sqlState) Error() string    { return "state " + string(s) }
func (s sqlState) SQLState() string { return string(s) }

type sqliteCode int

func (c sqliteCode) Error() string { return "code" }
func (c sqliteCode) Code() int     { return int(c) }

func TestWritesThatMeetALockAreTriedAgainAndOthersAreNot(t *testing.T) {
	for name, c := range map[string]struct {
		dialect  database
		err      error
		failures int
		writes   int
		ok       bool
	}{
		"a deadlock passes":                 {&postgres{}, sqlState("40P01"), 2, 3, true},
		"a serialization failure passes":    {&postgres{}, sqlState("40001"), 1, 2, true},
		"a lock timeout passes":             {&postgres{}, sqlState("55P03"), 1, 2, true},
		"a deadlock for ever ends":          {&postgres{}, sqlState("40P01"), 99, writeAttempts, false},
		"a violated constraint ends":        {&postgres{}, sqlState("23514"), 1, 1, false},
		"a busy SQLite passes":              {&sqlite{}, sqliteCode(5 | 2<<8), 1, 2, true},
		"a locked SQLite passes":            {&sqlite{}, sqliteCode(6), 1, 2, true},
		"a full disk ends":                  {&sqlite{}, sqliteCode(13), 1, 1, false},
		"an error without a code ends":      {&postgres{}, errors.New("reset"), 1, 1, false},
		"an SQLite error without code ends": {&sqlite{}, errors.New("reset"), 1, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stubborn{database: c.dialect, failures: c.failures, err: c.err}
			j := rowsJob{db: s}
			_, err := j.tryWrite(t.Context(), make([]change, 1))
			if (err == nil) != c.ok || s.writes != c.writes {
				t.Fatalf("%d writes and error %v; want %d writes", s.writes, err, c.writes)
			}
			if err != nil && !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
		})
	}
}
