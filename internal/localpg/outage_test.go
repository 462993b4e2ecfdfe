package localpg

import "testing"

func TestACrashedServerResumesWithWhatWasCommitted(t *testing.T) {
	s := started(t, Config{})
	ask(t, s.DSN("postgres"), "SELECT set_config('rowseal.kept', lo_from_bytea(4711, 'seven')::text, false)")
	if err := s.Resume(t.Context()); err == nil {
		t.Error("a running server was started again")
	}
	if err := s.Crash(); err != nil {
		t.Fatal(err)
	}
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s.DSN("postgres"), "SELECT convert_from(lo_get(4711), 'UTF8')"); got != "seven" {
		t.Errorf("got %q", got)
	}
}
