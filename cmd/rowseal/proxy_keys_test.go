package main

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAProxyDropsAShreddedTenantsKeysAtOnce: its cache would hold them for minutes.
func TestAProxyDropsAShreddedTenantsKeysAtOnce(t *testing.T) {
	p := startProxy(t)
	direct, through := dial(t, p.dsn), dial(t, p.through)
	execute(t, through, "INSERT INTO people VALUES (1, $1, NULL)", "078-05-1120")
	awaitListener := func() {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for ask(t, direct, "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'") != "1" {
			if time.Now().After(deadline) {
				t.Fatalf("the proxy does not listen:\n%s", p.log.String())
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	awaitListener()
	p.rewrite(t, strings.Replace(proxiedPolicy, "      ssn:", "      note: {type: text}\n      ssn:", 1))
	p.signal(t, syscall.SIGHUP) // keeps the keys and what listens for them
	p.await(t, "policy file read anew")
	if got := ask(t, through, "SELECT ssn FROM people"); got != "078-05-1120" {
		t.Fatalf("got %q", got)
	}
	awaitListener()
	code, out, errs := runWith(t.Context(), "rotate", "shred", "-c", p.dir+"/rowseal.yaml", "--dsn", p.dsn, "--tenant", "acme", "--reason", "asked", "--yes")
	if code != 0 || !strings.Contains(out, "Tenant acme is shredded") {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	p.await(t, "keys were retired or destroyed")
	deadline := time.Now().Add(30 * time.Second)
	for { // the notifications of several transactions may come one by one
		var value string
		err := through.QueryRow(t.Context(), "SELECT ssn FROM people").Scan(&value)
		if err != nil && strings.Contains(err.Error(), "destroyed") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it still opens %q, %v", value, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := through.Exec(t.Context(), "INSERT INTO people VALUES (2, $1, NULL)", "219-09-9999"); err == nil {
		t.Error("it still seals")
	}
}
