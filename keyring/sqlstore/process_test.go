package sqlstore

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/internal/testmysql"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
)

const (
	envJob        = "ROWSEAL_SQLSTORE_JOB"
	envConnection = "ROWSEAL_SQLSTORE_CONNECTION"

	raceTenants = 50
	raceWriters = 16 // in each process
)

// runJob is main of the other processes. It says that it is ready, waits for
// its input to end, does its job, and prints what it saw.
func runJob(job string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	seen, err := doJob(ctx, job, os.Getenv(envConnection))
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(seen)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func doJob(ctx context.Context, job, connection string) (map[string][]string, error) {
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return nil, err
	}
	s, err := Open(ctx, connection)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	switch job {
	case "init":
		return nil, initAtOnce(ctx, connection)
	case "create":
		return createAtOnce(ctx, s)
	}
	return nil, fmt.Errorf("unknown job %q", job)
}

// initAtOnce calls Init from several stores.
func initAtOnce(ctx context.Context, connection string) error {
	var g errgroup.Group
	for range 6 {
		g.Go(func() error {
			s, err := Open(ctx, connection)
			if err != nil {
				return err
			}
			defer s.Close()
			return s.Init(ctx)
		})
	}
	return g.Wait()
}

// createAtOnce lets every writer make the first keys of the same tenants, half
// of the writers in one call, and returns the ids that they got, by tenant.
func createAtOnce(ctx context.Context, s *Store) (map[string][]string, error) {
	got := make([][]keyring.Record, raceWriters)
	var g errgroup.Group
	for w := range raceWriters {
		g.Go(func() (err error) {
			records := make([]keyring.Record, raceTenants)
			for at, n := range rand.Perm(raceTenants) {
				records[at] = key(fmt.Sprintf("tenant %d", n), 1)
			}
			if w%2 == 0 {
				got[w], err = s.Create(ctx, records)
				return err
			}
			for i := range records {
				stored, err := s.Create(ctx, records[i:i+1])
				if err != nil {
					return err
				}
				got[w] = append(got[w], stored...)
			}
			return nil
		})
	}
	err := g.Wait()
	seen := map[string][]string{}
	for _, records := range got {
		for _, r := range records {
			seen[r.Tenant] = append(seen[r.Tenant], r.ID.String())
		}
	}
	return seen, err
}

// inProcesses runs the job in n processes that begin together.
func inProcesses(t *testing.T, n int, job, connection string) []map[string][]string {
	t.Helper()
	starts, results := make([]io.Closer, n), make([]*bufio.Reader, n)
	commands := make([]*exec.Cmd, n)
	for i := range n {
		cmd := exec.CommandContext(soon(t), os.Args[0])
		cmd.Env = append(os.Environ(), envJob+"="+job, envConnection+"="+connection)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		commands[i], starts[i], results[i] = cmd, in, bufio.NewReader(out)
		if line, err := results[i].ReadString('\n'); line != "ready\n" {
			t.Fatalf("process %d said %q, %v", i, line, err)
		}
	}
	for _, start := range starts {
		if err := start.Close(); err != nil {
			t.Fatal(err)
		}
	}
	seen := make([]map[string][]string, n)
	for i, cmd := range commands {
		if err := json.NewDecoder(results[i]).Decode(&seen[i]); err != nil {
			t.Errorf("process %d: %v", i, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("process %d: %v", i, err)
		}
	}
	return seen
}

func TestProcessesThatRaceForATenantsFirstKeyEndWithOne(t *testing.T) {
	connections := products()
	// A role's default isolation is not the store's choice.
	connections["PostgreSQL, serializable by default"] = func(t testing.TB) string {
		return withOption(t, testpg.DSN(t), "default_transaction_isolation=serializable")
	}
	connections["MySQL, serializable by default"] = func(t testing.TB) string {
		return withParameter(t, testmysql.URL(t), "tx_isolation", "'SERIALIZABLE'")
	}
	for product, connection := range connections {
		t.Run(product, func(t *testing.T) {
			connection := connection(t)
			s := initialized(t, connection)
			ids := map[string]string{}
			for _, seen := range inProcesses(t, 2, "create", connection) {
				if len(seen) != raceTenants {
					t.Errorf("a process saw %d tenants, want %d", len(seen), raceTenants)
				}
				for tenant, got := range seen {
					if len(got) != raceWriters {
						t.Errorf("%s: %d writers got a key, want %d", tenant, len(got), raceWriters)
					}
					for _, id := range got {
						if ids[tenant] == "" {
							ids[tenant] = id
						}
						if ids[tenant] != id {
							t.Fatalf("%s has keys %s and %s", tenant, ids[tenant], id)
						}
					}
				}
			}
			stored, err := s.List(t.Context(), keyring.Filter{}, envelope.KeyID{}, 1000)
			if err != nil || len(stored) != raceTenants {
				t.Fatalf("%d keys are stored, %v; want %d", len(stored), err, raceTenants)
			}
			for _, r := range stored {
				if ids[r.Tenant] != r.ID.String() {
					t.Errorf("%s: stored is %v, the writers got %s", r.Tenant, r.ID, ids[r.Tenant])
				}
			}
		})
	}
}

// withOption adds a server parameter to a connection string.
func withOption(t testing.TB, connection, option string) string {
	t.Helper()
	if !strings.Contains(connection, "://") {
		return connection + " options='-c " + option + "'"
	}
	u, err := url.Parse(connection)
	if err != nil {
		t.Fatal("the test server's connection string is not a URL")
	}
	q := u.Query()
	q.Set("options", "-c "+option)
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	return u.String()
}

func TestInitMayRunInSeveralProcessesAtOnceAndAgain(t *testing.T) {
	for product, connection := range products() {
		t.Run(product, func(t *testing.T) {
			connection := connection(t)
			inProcesses(t, 3, "init", connection)
			s := open(t, connection)
			if err := s.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			kept := create(t, s, key("a", 1))[0]
			if err := initAtOnce(soon(t), connection); err != nil {
				t.Fatal(err)
			}
			sameRecord(t, one(t, s, kept.ID), kept)
		})
	}
}
