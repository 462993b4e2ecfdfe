package rotate_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/rotate"
)

// TestALateWriteIsRefusedWhileTheNextOwnerIsWithinTheRange: a process that was taken for gone writes its page when the
// next one has written it already and is at the page behind it. Its values are what the table has by then, so that the
// fencing number alone keeps it from counting them again, and from walking on beside the other one.
func TestALateWriteIsRefusedWhileTheNextOwnerIsWithinTheRange(t *testing.T) {
	dsn := testpg.DSN(t)
	d := (&faulty{}).over(t, dsn)
	w := newWorld(t)
	const n, pageSize = 60, 10
	people := make([]person, n)
	for i := range people {
		people[i] = personNumber(i + 1)
		people[i].tenant = "own-" + people[i].ssn // so that each row takes a call of the KMS
	}
	d.exec(t, "CREATE TABLE people (id integer PRIMARY KEY, tenant text NOT NULL, name bytea, ssn bytea, memo bytea)")
	for i, s := range w.seal(t, people) {
		d.exec(t, "INSERT INTO people VALUES ($1, $2, $3, $4, $5)", i+1, people[i].tenant, s[0], s[1], s[2])
	}
	w.rotateRoot(t)
	within, tried := make(chan struct{}), make(chan struct{})
	within1, tried1 := sync.OnceFunc(func() { close(within) }), sync.OnceFunc(func() { close(tried) })
	defer tried1()

	var next sync.WaitGroup
	nextOwner := func() {
		var once sync.Once
		other := newWorldOn(t, w, func(op string) error {
			var done int
			must(t, d.QueryRow("SELECT coalesce(sum(n), 0) FROM rowseal.job_tallies WHERE name = 'rows'").Scan(&done))
			if op == "rewrap" && done >= pageSize {
				once.Do(func() {
					within1()
					<-tried
				})
			}
			return nil
		})
		cfg := other.config(d)
		cfg.PageSize, cfg.Owner, cfg.Concurrency = pageSize, "next", 1
		next.Go(func() {
			defer within1()
			result, err := rotate.Run(t.Context(), cfg, w.rewrap())
			if err != nil || !result.Joined {
				t.Errorf("the next owner: %v, %+v", err, result)
			}
		})
	}
	var takenOver sync.Once
	slow := newWorldOn(t, w, func(op string) error {
		if op == "rewrap" { // its first page is read
			takenOver.Do(func() {
				d.exec(t, "UPDATE rowseal.job_ranges SET until_at = 0")
				nextOwner()
				<-within
			})
		}
		return nil
	})
	moves := 0
	f := &faulty{after: func(_ int, statement string) error {
		if strings.HasPrefix(statement, "UPDATE rowseal.job_ranges SET pos") {
			moves++
			tried1()
		}
		return nil
	}}
	cfg := slow.config(f.over(t, dsn))
	cfg.PageSize, cfg.Owner, cfg.Concurrency = pageSize, "slow", 1
	result, err := rotate.Run(t.Context(), cfg, w.rewrap())
	must(t, err)
	next.Wait()
	counted(t, result.Counts, counts{"rows": n, "values": 2 * n, "rewrapped": n, "current": n})
	if moves != 1 {
		t.Errorf("the process that was taken for gone wrote %d pages, want one, which was refused", moves)
	}
	w.opens(t, d, people)
}

// TestARowChangedMeanwhileIsNotOverwrittenInAPageOfSomeValuesEach: where of each row another column is due, values that
// are due are still written over those only that were read, and the others are left alone whatever they are by then.
func TestARowChangedMeanwhileIsNotOverwrittenInAPageOfSomeValuesEach(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		people := w.people(t, d, 20)
		w.rotateTenants(t)
		w.rotateRoot(t)
		w.ring = w.newRing(t) // which seals under both
		fresh := w.seal(t, people)
		for i := range people { // names of odd rows are due, and memos of even ones
			column, at := "memo", 2
			if (i+1)%2 == 0 {
				column, at = "name", 0
			}
			d.exec(t, "UPDATE people SET "+column+" = $1 WHERE id = $2", fresh[i][at], i+1)
		}
		change := func(id int) [][]byte {
			p := &people[id-1]
			*p = person{tenant: p.tenant, name: "Newer", ssn: p.ssn, memo: "newer"}
			return w.seal(t, people[id-1:id])[0]
		}
		var written map[int][][]byte
		var once sync.Once
		w.calls.Fail = func(op string) error {
			if op == "rewrap" { // the page is read, and not yet written
				once.Do(func() {
					written = map[int][][]byte{}
					for _, id := range []int{7, 8} { // what is due, and what is not, of a row of each kind
						written[id] = change(id)
						d.exec(t, "UPDATE people SET name = $1, memo = $2 WHERE id = $3", written[id][0], written[id][2], id)
					}
				})
			}
			return nil
		}
		cfg := w.config(d)
		cfg.Keyring = w.newRing(t)
		counted(t, w.run(t, cfg), counts{"rows": 20, "reread": 2, "values": 40, "rewrapped": 18, "current": 22})
		after := d.sealed(t)
		for id, values := range written {
			if !bytes.Equal(after[id][0], values[0]) || !bytes.Equal(after[id][2], values[2]) {
				t.Errorf("row %d does not have what was written meanwhile", id)
			}
		}
		w.opens(t, d, people)
	})
}
