package integration

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/rs/zerolog"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmscount"
	"github.com/rowseal/rowseal/rotate"
)

// trouble comes when a job has written some pages, and goes when the job says that it waits, or by itself.
type trouble struct {
	come, heal func()
	itself     bool // it heals by itself: the job need not say anything

	pages int
	came  bool
	gone  sync.Once
	went  atomic.Bool
}

// troubledPage is the page of the table at which trouble comes.
const troubledPage = 4

// meet lets it come when a page is to be written, in its transaction.
func (tr *trouble) meet(statement string, do func() error) error {
	if strings.Contains(statement, `UPDATE "folk"`) {
		if tr.pages++; tr.pages == troubledPage {
			tr.came = true
			tr.come()
		}
	}
	return do()
}

func (tr *trouble) progress(p rotate.Progress) {
	if rotate.HeldBy(p.Held) == "away" && !tr.itself {
		tr.gone.Do(func() { tr.heal(); tr.went.Store(true) })
	}
}

// during runs the lane's job in trouble, over a pool of its own.
func (tr *trouble) during(l *lane, h *hand) {
	l.t.Helper()
	defer h.db.Close()
	h.cfg.Patience, h.cfg.Progress = 20*time.Second, tr.progress
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	if _, err := rotate.Run(ctx, h.cfg, rotate.Job{Kind: rotate.Rewrap, Table: h.table}); err != nil {
		l.t.Errorf("the job ended with %v", err)
	}
	if !tr.came || !tr.itself && !tr.went.Load() {
		l.t.Errorf("trouble came: %v; the job said that it waits: %v", tr.came, tr.went.Load())
	}
}

// handAt opens the lane's database at an address, asked for each connection.
func (l *lane) handAt(address func() string, meet meeting) *hand {
	l.t.Helper()
	config, err := pgx.ParseConfig(l.dsn)
	must(l.t, err)
	config.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address())
	}
	h, err := newHand(meet.wrap(stdlib.GetConnector(*config)), l.keyFile, folkPolicy)
	must(l.t, err)
	return h
}

// toxic is a connection that can be spoilt.
type toxic struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
}

func newToxic(t testing.TB, upstream string) *toxic {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, "database", "127.0.0.1:0", upstream)
	must(t, p.Start())
	t.Cleanup(p.Stop)
	return &toxic{t, p}
}

func (x *toxic) address() string { return x.proxy.Listen }

// add spoils all connections, those to come too, until the end of the test or heal.
func (x *toxic) add(toxics ...string) {
	for _, text := range toxics {
		if _, err := x.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			x.t.Error(err)
		}
	}
}

func (x *toxic) heal() { x.proxy.Toxics.ResetToxics(context.Background()) }

// TestAJobOutlivesItsConnections: they are reset, or end in the midst of a message, or are slow, or say nothing more, while
// the application goes on.
func TestAJobOutlivesItsConnections(t *testing.T) {
	for _, c := range []struct {
		name   string
		toxics []string
		itself bool
	}{
		{"reset", []string{`{"type": "reset_peer", "stream": "upstream", "attributes": {"timeout": 0}}`}, false},
		{"reset on the way back", []string{`{"type": "reset_peer", "stream": "downstream", "attributes": {"timeout": 0}}`}, false},
		{"cut off within a message", []string{`{"type": "limit_data", "stream": "upstream", "attributes": {"bytes": 700}}`}, false},
		{"slow", []string{
			`{"type": "latency", "stream": "downstream", "attributes": {"latency": 20, "jitter": 10}}`,
			`{"type": "slicer", "stream": "upstream", "attributes": {"average_size": 900, "size_variation": 300, "delay": 500}}`,
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLane(t, "rewrap")
			x := newToxic(t, hostOf(t, l.dsn))
			l.begin()
			l.app.goOn(1)
			tr := &trouble{come: func() { x.add(c.toxics...) }, heal: x.heal, itself: c.itself}
			tr.during(l, l.handAt(x.address, tr.meet))
			l.app.pause()
			l.check(min(l.app.inserted.Load(), crashSpare), min(l.app.deleted.Load(), crashSpare))
		})
	}
}

// TestAJobLeavesConnectionsThatSayNothingMore: the other end is gone without a word, as after a failover, and what is sent is not
// answered. New connections are made to who took its place.
func TestAJobLeavesConnectionsThatSayNothingMore(t *testing.T) {
	l := newLane(t, "rewrap")
	silent, good := newToxic(t, hostOf(t, l.dsn)), newToxic(t, hostOf(t, l.dsn))
	var at atomic.Pointer[toxic]
	at.Store(silent)
	l.begin()
	l.app.goOn(1)
	tr := &trouble{itself: true, come: func() {
		silent.add(`{"type": "timeout", "stream": "upstream", "attributes": {"timeout": 0}}`)
		at.Store(good)
	}}
	tr.during(l, l.handAt(func() string { return at.Load().address() }, tr.meet))
	l.app.pause()
	l.check(min(l.app.inserted.Load(), crashSpare), min(l.app.deleted.Load(), crashSpare))
}

// TestAJobWaitsForAServerThatCrashed: it was stopped as `pg_ctl -m immediate` does, in the midst of a page, and is
// started again when the job says that it waits.
func TestAJobWaitsForAServerThatCrashed(t *testing.T) {
	server := testpg.Start(t, map[string]string{"synchronous_commit": "on"})
	l := newLaneIn(t, "rewrap", server.DSN("postgres"))
	l.begin()
	fail := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	tr := &trouble{come: func() { fail(server.Crash()) }, heal: func() { fail(server.Resume(t.Context())) }}
	tr.during(l, l.handAt(func() string { return hostOf(t, l.dsn) }, tr.meet))
	l.check(0, 0)
}

// TestAJobWaitsForRoomOnTheDisk: a trigger refuses rows as a server does whose disk is full, since filling one
// takes rights that tests have not.
func TestAJobWaitsForRoomOnTheDisk(t *testing.T) {
	l := newLane(t, "rewrap")
	l.exec(`CREATE TABLE full_disk ();
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF EXISTS (SELECT FROM full_disk) THEN
		RAISE EXCEPTION 'could not extend file "base/1/2": No space left on device' USING ERRCODE = 'disk_full';
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER no_room BEFORE UPDATE ON folk FOR EACH ROW EXECUTE FUNCTION no_room()`)
	l.begin()
	tr := &trouble{
		come: func() { l.exec("INSERT INTO full_disk DEFAULT VALUES") },
		heal: func() { l.exec("DELETE FROM full_disk") },
	}
	tr.during(l, l.handAt(func() string { return hostOf(t, l.dsn) }, tr.meet))
	l.check(0, 0)
}

// failing is a root key that fails a part of its calls, and counts those that it answers.
type failing struct {
	*kmscount.KMS
	asked, failed atomic.Int64
}

func newFailing(root kms.KMS, part float64) *failing {
	f := &failing{KMS: kmscount.New(root)}
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(5, 5))
	f.Fail = func(op string) error {
		mu.Lock()
		defer mu.Unlock()
		if op == "current" { // asked once, when a job begins
			return nil
		}
		f.asked.Add(1)
		if r.Float64() >= part {
			return nil
		}
		f.failed.Add(1)
		return &kms.Error{Provider: "test", Op: op, Kind: []error{kms.ErrUnavailable, kms.ErrThrottled}[r.IntN(2)]}
	}
	return f
}

// answered is how many calls were.
func (f *failing) answered() int64 { return f.asked.Load() - f.failed.Load() }

// TestAKMSThatFailsThreeCallsInTen: each key is rewrapped by one call that succeeds, and no call that was answered is
// made again. The key store takes a few runs, whose errors say so; a job waits and goes on.
func TestAKMSThatFailsThreeCallsInTen(t *testing.T) {
	const part = 0.3
	l := newLane(t, "rewrap")
	l.begin()
	l.rotateRoot()
	due := int64(0)
	must(t, l.ring.Each(t.Context(), keyring.Filter{RootWrapped: true}, func(keyring.Record) error { due++; return nil }))

	root := newFailing(l.root, part)
	h, err := openHand(l.dsn, l.keyFile, folkPolicy, bare, root)
	must(t, err)
	defer h.db.Close()
	for runs := 1; ; runs++ {
		r, err := rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: h.ring})
		if err == nil {
			t.Logf("%d keys in %d runs, %d of %d calls failed", r.Checked, runs, root.failed.Load(), root.asked.Load())
			break
		}
		if !errors.Is(err, rotate.ErrIncomplete) || runs == 20 {
			t.Fatalf("run %d: %v", runs, err)
		}
	}
	if root.answered() != due {
		t.Errorf("%d calls for %d keys", root.answered(), due)
	}

	distinct := map[string]bool{}
	for _, sealed := range l.sealedRows() {
		v, err := envelope.Parse(sealed[1])
		must(t, err)
		distinct[string(v.Wrapped())] = true
	}
	root = newFailing(l.root, part)
	if h, err = openHand(l.dsn, l.keyFile, folkPolicy, bare, root); err != nil {
		t.Fatal(err)
	}
	defer h.db.Close()
	_, err = rotate.Run(t.Context(), h.cfg, rotate.Job{Kind: rotate.Rewrap, Table: h.table})
	must(t, err)
	keys := int64(2 * len(folkTenants)) // of each tenant the old and the new one
	if n := root.answered(); n < int64(len(distinct)) || n > int64(len(distinct))+keys {
		t.Errorf("%d calls for %d row keys and %d tenant keys", n, len(distinct), keys)
	}
	if n := root.failed.Load(); n < root.asked.Load()/5 || n == 0 {
		t.Errorf("%d of %d calls failed", n, root.asked.Load())
	}
	l.check(0, 0)
}

// TestTwoOperatorsStartTheSameJob in two processes: they share one job, and each row is dealt with once.
func TestTwoOperatorsStartTheSameJob(t *testing.T) {
	for _, job := range []string{"rewrap2", "anew"} {
		t.Run(job, func(t *testing.T) {
			l := newLane(t, job)
			l.begin()
			hold, err := l.db.BeginTx(t.Context(), nil) // no page is written before both are there
			must(t, err)
			defer hold.Rollback()
			_, err = hold.Exec("LOCK TABLE folk IN SHARE MODE")
			must(t, err)
			var both [2]*exec.Cmd
			var said [2]bytes.Buffer
			for i := range both {
				both[i] = l.order(-1).obeying(t)
				both[i].Stdout, both[i].Stderr = &said[i], &said[i]
				must(t, both[i].Start())
			}
			deadline := time.Now().Add(30 * time.Second)
			for owners := 0; owners < 2; {
				jobs, err := rotate.Jobs(t.Context(), l.db, rotate.PostgreSQL, false)
				must(t, err)
				if len(jobs) > 1 || time.Now().After(deadline) {
					t.Fatalf("%+v; %s%s", jobs, &said[0], &said[1])
				}
				if len(jobs) == 1 {
					owners = len(jobs[0].Owners)
				}
			}
			must(t, hold.Commit())
			joined := 0
			for i := range both {
				if err := both[i].Wait(); err != nil {
					t.Fatalf("%v: %s", err, &said[i])
				}
				joined += strings.Count(said[i].String(), `"Joined":true`)
			}
			if joined != 1 {
				t.Errorf("%d joined: %s%s", joined, &said[0], &said[1])
			}
			l.check(0, 0)
		})
	}
}

// TestAJobThatWasLeftIsNotTakenForOneOfLaterKeys: it was killed half way, keys were rotated since, and the same command is
// given again. What it had done is under keys that are old by now.
func TestAJobThatWasLeftIsNotTakenForOneOfLaterKeys(t *testing.T) {
	for _, job := range []string{"rewrap", "reseal"} {
		for _, again := range []string{"root", "tenants"} {
			if job == "reseal" && again == "root" {
				continue // which it has nothing to do with
			}
			t.Run(job+", "+again, func(t *testing.T) {
				l := newLane(t, job)
				all := l.run()
				l.begin()
				if !l.process(all / 2) {
					t.Fatal("it was not killed")
				}
				l.expire(rand.New(rand.NewPCG(1, 1)))
				if again == "root" {
					l.rotateRoot()
					_, err := rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: l.ring})
					must(t, err)
				} else {
					l.rotateTenants()
				}
				l.process(-1)
				l.ring.Forget()
				l.checkRows()
				crashJobs[job].check(l)
			})
		}
	}
}
