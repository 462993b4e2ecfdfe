package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy"
)

const reloadedPolicy = `namespace: one
keys: {kms: "local://WORK/root.key", store: postgres}
tables: {people: {columns: {name: {type: text}}}}
tenant: {default: acme}
proxy: {listen: "127.0.0.1:0", upstream: "postgres://127.0.0.1:1?sslmode=disable"}
`

// reloading is a proxy that does not serve, and what writes its policy file.
func reloading(t *testing.T) (r *reloader, rewrite func(policy string), log *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	p := &place{config: dir + "/rowseal.yaml", dsn: testpg.DSN(t)}
	rewrite = func(policy string) { write(t, p.config, strings.ReplaceAll(policy, "WORK", dir)) }
	rewrite(reloadedPolicy)
	for _, args := range [][]string{{"keys", "create", dir + "/root.key"}, {"init", "-c", p.config, "--dsn", p.dsn}} {
		if code, _, errs := runWith(t.Context(), args...); code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, errs)
		}
	}
	log = new(bytes.Buffer)
	c := newProxy()
	c.SetContext(t.Context())
	r = &reloader{command: c, place: p, log: slog.New(slog.NewTextHandler(log, nil))}
	s, err := r.open()
	if err != nil {
		t.Fatal(err)
	}
	r.current = s
	cfg, err := s.proxyConfig(p, r.log)
	if err != nil {
		t.Fatal(err)
	}
	if r.server, err = sqlproxy.New(cfg); err != nil {
		t.Fatal(err)
	}
	return r, rewrite, log
}

func TestReloadKeepsKeysThatAreDescribedAsBefore(t *testing.T) {
	r, rewrite, log := reloading(t)
	first, ring, store := r.current, r.current.ring, r.current.store
	for range 3 {
		rewrite(strings.Replace(reloadedPolicy, "name:", "surname:", 1))
		r.reload()
		if r.current == first || r.current.ring != ring || r.current.store != store {
			t.Fatalf("the file was not taken, or its keys were opened anew; log: %s", log)
		}
		if r.current.file.Policy.Table("people").Column("surname") == nil {
			t.Error("the current file is not the last one")
		}
	}
	if err := store.Check(t.Context()); err != nil {
		t.Errorf("the store that is in use was closed: %v", err)
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Check(t.Context()); err == nil {
		t.Error("the store is still open at the end")
	}
}

func TestReloadClosesTheStoreBeforeTheLast(t *testing.T) {
	r, rewrite, _ := reloading(t)
	first := r.current.store
	rewrite(strings.Replace(reloadedPolicy, "one", "two", 1))
	r.reload()
	second := r.current.store
	if second == first {
		t.Fatal("keys of another namespace have the same store")
	}
	if err := first.Check(t.Context()); err != nil {
		t.Errorf("statements that run may need the keys before: %v", err)
	}
	r.reload()
	if err := first.Check(t.Context()); err == nil {
		t.Error("the store is still open after two reloads")
	}
	if err := r.close(); err != nil || second.Check(t.Context()) == nil {
		t.Errorf("the store is still open at the end, or %v", err)
	}
}

func TestReloadOfAWrongFileChangesNothing(t *testing.T) {
	r, rewrite, log := reloading(t)
	first := r.current
	for _, wrong := range []string{
		"tables: 1",
		strings.Replace(reloadedPolicy, "root.key", "other.key", 1),
		strings.Replace(reloadedPolicy, "sslmode=disable", "sslrootcert=WORK/none.pem", 1),
	} {
		log.Reset()
		rewrite(wrong)
		r.reload()
		if r.current != first || !strings.Contains(log.String(), "goes on as before") {
			t.Errorf("log: %s", log)
		}
		if err := first.store.Check(t.Context()); err != nil {
			t.Errorf("the store was closed: %v", err)
		}
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}
