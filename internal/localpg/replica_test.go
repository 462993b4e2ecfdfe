package localpg

import (
	"errors"
	"strings"
	"testing"
)

func TestReplica(t *testing.T) {
	dir := traversable(t)
	primary := started(t, Config{Dir: dir, Settings: map[string]string{"fsync": "off", "work_mem": "3MB"}})
	replica, err := primary.Replica(t.Context(), map[string]string{"work_mem": "5MB"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, query, want string }{
		{"is in recovery", "SELECT pg_is_in_recovery()::text", "true"},
		{"has the primary's settings", "SHOW fsync", "off"},
		{"and its own over them", "SHOW work_mem", "5MB"},
		{"knows the primary's password from a file only", "SELECT (current_setting('primary_conninfo') NOT LIKE '%" + primary.password + "%')::text", "true"},
	} {
		if got := ask(t, replica.DSN("postgres"), tt.query); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if err := replica.Stop(); err != nil {
		t.Error(err)
	}
	if err := primary.Stop(); err != nil {
		t.Error(err)
	}
	mustBeEmpty(t, dir)
}

func TestReplicaRefuses(t *testing.T) {
	t.Run("settings of the package", func(t *testing.T) {
		_, err := (&Server{}).Replica(t.Context(), map[string]string{"port": "1"}, nil)
		if err == nil || !strings.Contains(err.Error(), "port") {
			t.Error(err)
		}
	})
	t.Run("a machine without pg_basebackup", func(t *testing.T) {
		_, err := (&Server{binDir: t.TempDir()}).Replica(t.Context(), nil, nil)
		if !errors.Is(err, ErrNoBinaries) {
			t.Error(err)
		}
	})
}
