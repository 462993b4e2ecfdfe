package sqlproxy

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestAuthQueryAsksTheServer(t *testing.T) {
	c := testCluster(t)
	service := Credential{User: "service", Password: servicePassword}
	for _, tt := range []struct {
		name       string
		credential Credential
		sql, user  string
		finds      bool
		fails      string
	}{
		{"a user", service, "", "app", true, ""},
		{"nobody", service, "", "nobody", false, ""},
		{"a user without a password", service, "", "trusty", false, ""},
		{"a name that would end a string", service, "", "a' OR true --", false, ""},
		{"a query of one's own", service, "SELECT 'x' || $1", "app", true, ""},
		{"several rows", service, "SELECT 'x' || $1 FROM generate_series(1, 3)", "app", false, "several rows"},
		{"several columns", service, "SELECT $1, 2", "app", false, "not one column"},
		{"a wrong query", service, "SELECT nothing FROM nowhere WHERE $1 = ''", "app", false, "42P01"},
		{"a role that may not read", Credential{User: "app", Password: appPassword}, "", "app", false, "42501"},
		{"a wrong password", Credential{User: "app", Password: "canary-wrong"}, "", "app", false, "28P01"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, err := NewAuthQuery(&AuthQuery{Upstream: c.upstream(true), Database: "postgres", Credential: tt.credential, SQL: tt.sql})
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			for range 2 { // the second time on the connection that was kept
				got, err := q.Verifier(t.Context(), tt.user)
				if tt.fails != "" {
					if err == nil || !strings.Contains(err.Error(), tt.fails) || strings.Contains(err.Error(), "canary") {
						t.Errorf("got %v", err)
					}
					continue
				}
				if err != nil || (got != "") != tt.finds {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
}

func TestRolesThatMayNotLogInHaveNoVerifier(t *testing.T) {
	c := testCluster(t)
	c.exec(t, "RESET password_encryption", "CREATE ROLE nologin PASSWORD '"+appPassword+"'",
		"CREATE ROLE expired LOGIN PASSWORD '"+appPassword+"' VALID UNTIL '2001-01-01'",
		"CREATE ROLE lasting LOGIN PASSWORD '"+appPassword+"' VALID UNTIL 'infinity'")
	manual, err := os.ReadFile("../docs/PROXY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, export, _ := strings.Cut(string(manual), `psql -AtF ' ' -c "`)
	export, _, _ = strings.Cut(export, `" "$DSN"`)
	var lines []string
	if err := c.admin.QueryRow(t.Context(), "SELECT array_agg(format) FROM ("+export+") AS export").Scan(&lines); err != nil {
		t.Fatal(err)
	}
	_, own, _ := strings.Cut(string(manual), "```sql\nSELECT rolpassword ")
	own, _, _ = strings.Cut(own, "```")
	for _, sql := range []string{"", "SELECT rolpassword " + own} {
		q, err := NewAuthQuery(&AuthQuery{
			Upstream: c.upstream(true), Database: "postgres", Credential: Credential{User: "service", Password: servicePassword}, SQL: sql,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		for user, want := range map[string]bool{"lasting": true, "nologin": false, "expired": false} {
			if got, err := q.Verifier(t.Context(), user); err != nil || (got != "") != want {
				t.Errorf("%q gives %s %q, %v", sql, user, got, err)
			}
			listed := slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, `"`+user+`"`) })
			if listed != want {
				t.Errorf("the export lists %s: %v", user, listed)
			}
		}
	}
}

func TestAuthQueryConnectsAgain(t *testing.T) {
	c := testCluster(t)
	q, err := NewAuthQuery(&AuthQuery{
		Upstream: c.upstream(true), Database: "postgres",
		Credential: Credential{User: "service", Password: servicePassword},
		SQL:        "SELECT pg_backend_pid()::text FROM (SELECT $1::text) x",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	ask := func() string {
		pid, err := q.Verifier(t.Context(), "app")
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	first := ask()
	if again := ask(); again != first {
		t.Error("the connection is not kept")
	}
	c.exec(t, "SELECT pg_terminate_backend("+first+", 10000)")
	second := ask()
	if second == first {
		t.Error("the backend still lives")
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if third := ask(); third == second {
		t.Error("Close closes nothing")
	}
}

func TestAuthQueryIsValidated(t *testing.T) {
	for _, c := range []Credential{{}, {User: "u", Password: "pässword"}} {
		if _, err := NewAuthQuery(&AuthQuery{Credential: c}); err == nil {
			t.Errorf("%v is taken", &c)
		}
	}
}
