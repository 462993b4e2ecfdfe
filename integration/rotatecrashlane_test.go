package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
	"github.com/rowseal/rowseal/rotate"
)

// lane is a database over which one job is killed again and again: each round begins with new keys, so that there is
// something to do, and the table is that of the round before.
type lane struct {
	*hand
	t        testing.TB
	job      string
	dsn      string
	keyFile  string
	app      *application
	moving   *movingApp // where a column is moved
	round    int
	jobs     int64 // highest number of a job before the round
	before   int64 // rows before the round
	tenant   string
	gone     map[int][][]byte // sealed rows of a tenant that is shredded, by id
	sealed   map[int][][]byte // the table before the round
	reread   int64
	missed   int // points that were not reached
	twice    int // rounds with a second kill
	together int // rounds with another process beside
	waits    int // rounds that waited for a lease to end
	reported crashReport
}

func newLane(t testing.TB, job string) *lane {
	t.Helper()
	return newLaneIn(t, job, testpg.DSN(t))
}

// newLaneIn makes a lane of an empty database.
func newLaneIn(t testing.TB, job, dsn string) *lane {
	t.Helper()
	l := &lane{t: t, job: job, dsn: dsn, keyFile: filepath.Join(t.TempDir(), "root.key")}
	must(t, localkms.Create(l.keyFile))
	var err error
	l.hand, err = openHand(l.dsn, l.keyFile, folkPolicy, bare)
	must(t, err)
	t.Cleanup(func() { _ = l.db.Close() })
	must(t, l.store.Init(t.Context()))
	must(t, rotate.InitJournal(t.Context(), l.db, rotate.PostgreSQL))
	l.app = newApplication(t, l.dsn, l.keyFile)
	many := make([]string, 20)
	for i := range many {
		many[i] = fmt.Sprint("many-", i)
	}
	must(t, l.ring.Prepare(t.Context(), many...))
	return l
}

func (l *lane) exec(query string, args ...any) {
	l.t.Helper()
	if _, err := l.db.ExecContext(l.t.Context(), query, args...); err != nil {
		l.t.Fatalf("%v\nin %s", err, query)
	}
}

// order is what a process of the lane is told.
func (l *lane) order(kill int) crashOrder {
	return crashOrder{DSN: l.dsn, KeyFile: l.keyFile, Policy: folkPolicy, Job: l.job, Tenant: l.tenant, Patience: time.Minute, Kill: kill}
}

// begin makes the job due, while the application stands still.
func (l *lane) begin() {
	l.round++
	l.gone, l.tenant = nil, ""
	l.ring.Forget()
	crashJobs[l.job].prepare(l)
	l.app.forget()
	l.ring.Forget()
	must(l.t, l.db.QueryRowContext(l.t.Context(), "SELECT coalesce(max(id), 0) FROM rowseal.jobs").Scan(&l.jobs))
	l.before = l.standing()
}

// standing is how many rows of the application there are.
func (l *lane) standing() (n int64) {
	for _, k := range l.app.rows {
		if k.there {
			n++
		}
	}
	return n
}

// run does an undisturbed round and returns the number of points at which a process may be killed.
func (l *lane) run() int {
	l.begin()
	if killed := l.process(-1); killed {
		l.t.Fatal("a process was killed by somebody else")
	}
	l.check(0, 0)
	return 3 * l.reported.Statements
}

// crash does a round in which the process is killed at a point, and started again until it is done. In one round of five
// the application stands still, so that counts are exact; in one of four the next process is killed too; in one of six another
// process does the same job all the while; in one of thirty the next process waits for the lease of the killed one to end.
func (l *lane) crash(point int, seed uint64) {
	h := fnv.New64a()
	fmt.Fprint(h, seed, l.job, point)
	r := rand.New(rand.NewPCG(h.Sum64(), 0))
	l.begin()
	quiet := r.IntN(5) == 0
	if !quiet {
		l.goOn(r.Uint64())
	}
	other := func() {}
	together := r.IntN(6) == 0 && !crashJobs[l.job].alone
	if together {
		l.together++
		other = l.beside()
	}
	killed := l.process(point)
	if !killed && !together { // else the other one may have done too much of it
		l.missed++
	}
	l.expire(r)
	if killed && r.IntN(4) == 0 {
		if l.process(r.IntN(3 * 60)) {
			l.twice++
			l.expire(r)
		} else {
			killed = false
		}
	}
	if killed && l.process(-1) {
		l.t.Error("a process was killed by somebody else")
	}
	other()
	inserted, deleted := int64(0), int64(0)
	if !quiet {
		l.pause()
		inserted, deleted = min(l.app.inserted.Load(), crashSpare), min(l.app.deleted.Load(), crashSpare)
	}
	l.check(inserted, deleted)
}

// goOn lets the application work, on the table of the job.
func (l *lane) goOn(seed uint64) {
	if l.moving != nil {
		l.moving.goOn(seed)
		return
	}
	l.app.goOn(seed)
}

func (l *lane) pause() {
	if l.moving != nil {
		l.moving.pause()
		return
	}
	l.app.pause()
}

// beside starts a process that does the same job, and returns what waits for its end.
func (l *lane) beside() (wait func()) {
	cmd := l.order(-1).obeying(l.t)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	must(l.t, cmd.Start())
	return func() {
		if err := cmd.Wait(); err != nil {
			l.t.Errorf("the other process ended with %v: %s", err, &said)
		}
	}
}

// expire ends the lease of a process that was killed, which takes five seconds otherwise.
func (l *lane) expire(r *rand.Rand) {
	if r.IntN(30) == 0 {
		l.waits++
		return
	}
	l.exec("UPDATE rowseal.job_ranges SET until_at = 0 WHERE done = 0")
}

// process runs a process to its end, and reports whether that was a kill.
func (l *lane) process(kill int) (killed bool) {
	cmd := l.order(kill).obeying(l.t)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && !exit.Exited() && kill >= 0:
		return true
	case err != nil:
		l.t.Errorf("the process ended with %v: %s", err, &complaint)
		return false
	}
	l.reported = crashReport{}
	must(l.t, json.Unmarshal(out.Bytes(), &l.reported))
	return false
}

// check is what holds after each round, whatever happened in it.
func (l *lane) check(inserted, deleted int64) {
	l.ring.Forget()
	l.checkRows()
	l.checkJournal(inserted, deleted)
	crashJobs[l.job].check(l)
	l.drop()
	verified, err := rotate.Run(l.t.Context(), l.cfg, rotate.Job{Kind: rotate.Verify, Table: l.table})
	if err != nil || verified.Counts["rows"] != l.standing() {
		l.t.Errorf("verify: %v, %v; %d rows are there", err, verified.Counts, l.standing())
	}
}

// checkRows: every row opens to what its last writer gave, with keys as the key store has them, and there is no
// other row. No plaintext is among what the table holds.
func (l *lane) checkRows() {
	l.t.Helper()
	there := int64(0)
	for id, sealed := range l.sealedRows() {
		for _, v := range sealed {
			if bytes.Contains(v, []byte("canary")) {
				l.t.Errorf("row %d holds a canary", id)
			}
		}
		if _, ok := l.gone[id]; ok {
			continue
		}
		there++
		if k := l.app.of(id); k == nil || !k.there {
			l.t.Errorf("row %d is there", id)
			continue
		}
		l.opens(l.cfg.Cipher, id, sealed, nil)
	}
	if there != l.standing() {
		l.t.Errorf("%d rows are there, want %d", there, l.standing())
	}
}

// opens checks that the columns of a row, all where none are named, open to what its last writer gave.
func (l *lane) opens(c *field.Cipher, id int, sealed [][]byte, columns []string) {
	l.t.Helper()
	want := l.app.of(id).row
	for i, col := range l.table.Columns() {
		if columns != nil && !strings.Contains(strings.Join(columns, " "), col.Name()) {
			continue
		}
		var got string
		err := c.Open(l.t.Context(), &got, col, field.Row{Tenant: want.Tenant}, sealed[i])
		if err != nil || got != want.values()[i] {
			l.t.Errorf("row %d, %s: opens to %q, %v; its last writer gave %q", id, col.Name(), got, err, want.values()[i])
		}
	}
}

// sealedRows reads the table as it is, by id.
func (l *lane) sealedRows() map[int][][]byte {
	l.t.Helper()
	rows, err := l.db.QueryContext(l.t.Context(), "SELECT id, name, memo, ssn, mail FROM folk")
	must(l.t, err)
	defer rows.Close()
	all := map[int][][]byte{}
	for rows.Next() {
		var id int
		v := make([][]byte, 4)
		must(l.t, rows.Scan(&id, &v[0], &v[1], &v[2], &v[3]))
		all[id] = v
	}
	must(l.t, rows.Err())
	return all
}

// checkJournal: each job of the round is done and no range of it is left, and a job that was begun again was done
// before. Each of them counted every row that was there all the time once, and those that came and went at most once; each
// value of a row that was there is counted by what became of it.
func (l *lane) checkJournal(inserted, deleted int64) {
	l.t.Helper()
	all, err := rotate.Jobs(l.t.Context(), l.db, rotate.PostgreSQL, true)
	must(l.t, err)
	jobs := 0
	for _, s := range all {
		if s.ID <= l.jobs {
			continue
		}
		jobs++
		rows, columns := l.before, int64(len(l.table.Columns()))
		switch s.Kind {
		case rotate.Rewrap:
			columns = 2
		case rotate.Overwrite:
			rows, inserted, deleted = int64(len(l.gone)), 0, 0
		}
		c := s.Counts
		l.reread += c["reread"]
		if s.Table == "clients" {
			rows, columns, inserted, deleted = clientRows, 1, 0, 0
		}
		least := columns * (c["rows"] - deleted)
		if s.Kind == rotate.Unseal { // programs that write the plain column alone, before the last step, leave no sealed value
			least = 0
		}
		became := c["sealed"] + c["unsealed"] + c["rewrapped"] + c["resealed"] + c["current"] + c["destroyed"] + c["overwritten"]
		if s.Kind == rotate.Verify {
			became = c["opened"]
		}
		if s.State == rotate.StateSuperseded { // by the job of a program that was deployed after the kill
			continue
		}
		switch {
		case s.State != rotate.StateDone || s.Left != 0 || c["failed"] != 0:
			l.t.Errorf("job %d: %+v", s.ID, s)
		case c["rows"] < rows-deleted || c["rows"] > rows+inserted:
			l.t.Errorf("job %d counted %d rows; %d were there, %d came, %d went", s.ID, c["rows"], rows, inserted, deleted)
		case c["values"] > columns*c["rows"] || c["values"] < least || became != c["values"]:
			l.t.Errorf("job %d: %v; %d rows, %d went", s.ID, c, rows, deleted)
		}
	}
	if journaled := crashJobs[l.job].journaled; journaled && jobs == 0 || !journaled && jobs > 0 {
		l.t.Errorf("the journal has %d jobs of the round", jobs)
	}
}

// noneLeft checks that no value of the columns is under a key of a state other than active, or under a root
// key that is not the current one, and that all open where nothing else is to be had.
func (l *lane) noneLeft(columns ...string) {
	l.t.Helper()
	ctx := l.t.Context()
	states := map[envelope.KeyID]keyring.State{}
	must(l.t, l.ring.Each(ctx, keyring.Filter{}, func(r keyring.Record) error {
		states[r.ID] = r.State
		return nil
	}))
	root, err := l.root.Current(ctx)
	must(l.t, err)
	names := strings.Join(columns, " ")
	cipher, end := l.newestOnly()
	defer end()
	for id, sealed := range l.sealedRows() {
		if _, ok := l.gone[id]; ok {
			continue
		}
		for i, col := range l.table.Columns() {
			if !strings.Contains(names, col.Name()) {
				continue
			}
			v, err := envelope.Parse(sealed[i])
			must(l.t, err)
			if v.Mode() == envelope.ModeKMS && v.RootKey() != root || v.Mode() != envelope.ModeKMS && states[v.KeyID()] != keyring.Active {
				l.t.Errorf("row %d, %s: is still under an old key", id, col.Name())
			}
		}
		l.opens(cipher, id, sealed, columns)
	}
}

// newestOnly is a cipher without tenant keys that are retired, over the newest version of the root key.
func (l *lane) newestOnly() (c *field.Cipher, end func()) {
	l.t.Helper()
	ctx := l.t.Context()
	copied := filepath.Join(l.t.TempDir(), "copy.key")
	text, err := os.ReadFile(l.keyFile)
	must(l.t, err)
	must(l.t, os.WriteFile(copied, text, 0o600))
	h, err := openHand(l.dsn, copied, folkPolicy, bare)
	must(l.t, err)
	versions, err := h.root.Versions(ctx)
	must(l.t, err)
	for _, v := range versions[:len(versions)-1] {
		must(l.t, h.root.Remove(ctx, v.Number))
	}
	ring, err := keyring.New(keyring.Config{Roots: []kms.KMS{h.root}, Store: activeOnly{h.store}})
	must(l.t, err)
	c, err = field.New(field.Config{Keyring: ring})
	must(l.t, err)
	return c, func() { _ = h.db.Close() }
}

// activeOnly is a key store as if all keys but those that seal were destroyed.
type activeOnly struct{ keyring.Store }

func (s activeOnly) ByID(ctx context.Context, ids []envelope.KeyID) ([]keyring.Record, error) {
	list, err := s.Store.ByID(ctx, ids)
	return slices.DeleteFunc(list, func(r keyring.Record) bool { return r.State != keyring.Active }), err
}

// drop takes away the rows of the round's shredded tenant.
func (l *lane) drop() {
	if l.tenant != "" {
		l.exec("DELETE FROM folk WHERE tenant = $1", l.tenant)
	}
}
