package rotate_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/rotate"
)

// movingPerson is the model while both columns are there, and movedPerson the one that is deployed with the swap.
type movingPerson struct {
	ID     int64
	Tenant string `rowseal:"tenant"`
	Email  string `gorm:"column:email_sealed;serializer:rowseal;type:bytes" rowseal:"type=text,search=equality,id=email,transition=email/both"`
}

func (movingPerson) TableName() string { return "people" }

type movedPerson struct {
	ID     int64
	Tenant string `rowseal:"tenant"`
	Email  string `gorm:"serializer:rowseal;type:bytes" rowseal:"type=text,search=equality"`
}

func (movedPerson) TableName() string { return "people" }

// live is a table in use. Each row has a lock under which it is written, and its last writer's value is noted.
type live struct {
	*mover
	moving, moved *gorm.DB
	rows          []liveRow
	swapped       atomic.Bool // programs were deployed anew
	stop          chan struct{}
	writes, reads atomic.Int64
}

type liveRow struct {
	sync.Mutex
	tenant, last string
}

func (l *live) open(model any, dsn string) *gorm.DB {
	l.t.Helper()
	g, err := gorm.Open(postgres.Open(dsn), &gorm.Config{Logger: logger.Discard})
	must(l.t, err)
	pool, err := g.DB()
	must(l.t, err)
	l.t.Cleanup(func() { _ = pool.Close() })
	plugin := gormplugin.New(l.cipher(l.t))
	plugin.Models = []any{model}
	must(l.t, g.Use(plugin))
	return g
}

// each calls f with one row after the other, locked, until the test ends or f says no.
func (l *live) each(wg *sync.WaitGroup, f func(id int64, r *liveRow) bool) {
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			select {
			case <-l.stop:
				return
			default:
			}
			id := rand.N(int64(len(l.rows)))
			r := &l.rows[id]
			r.Lock()
			more := f(id+1, r)
			r.Unlock()
			if !more {
				return
			}
		}
	}()
}

// old is a program that knows the plain column only, and that is gone with the swap.
func (l *live) old(id int64, r *liveRow) bool {
	value := fmt.Sprintf("old%d-%d@example.com", id, rand.Int())
	if _, err := l.db.Exec("UPDATE people SET email = $1 WHERE id = $2", value, id); err != nil {
		if !strings.Contains(err.Error(), "42804") { // the column has another type now
			l.t.Errorf("an old program's write: %v", err)
		}
		return false
	}
	r.last = value
	l.writes.Add(1)
	return true
}

// dual is a program that knows both columns, and after the swap the sealed one.
func (l *live) dual(id int64, r *liveRow) bool {
	value := fmt.Sprintf("dual%d-%d@example.com", id, rand.Int())
	write := func() error {
		if l.swapped.Load() {
			return l.moved.Model(&movedPerson{ID: id, Tenant: r.tenant}).Update("Email", value).Error
		}
		return l.moving.Model(&movingPerson{ID: id, Tenant: r.tenant}).Update("Email", value).Error
	}
	return l.again(write, func() { r.last = value; l.writes.Add(1) })
}

// reader wants each row's last value.
func (l *live) reader(id int64, r *liveRow) bool {
	var got string
	read := func() error {
		if l.swapped.Load() {
			var p movedPerson
			err := l.moved.First(&p, id).Error
			got = p.Email
			return err
		}
		var p movingPerson
		err := l.moving.First(&p, id).Error
		got = p.Email
		return err
	}
	return l.again(read, func() {
		l.reads.Add(1)
		if got != r.last {
			l.t.Errorf("row %d reads as %q, and was written as %q", id, got, r.last)
		}
	})
}

// again tries what the swap may have met on its way.
func (l *live) again(do func() error, done func()) bool {
	var err error
	for range 100 {
		if err = do(); err == nil {
			done()
			return true
		}
		l.swapped.Store(l.text("SELECT (count(*) = 0)::text FROM pg_attribute WHERE attrelid = 'people'::regclass AND attname = 'email_sealed' AND NOT attisdropped") == "true")
	}
	l.t.Error(err)
	return false
}

// TestMoveLive moves a column while old programs, new ones and readers use it.
func TestMoveLive(t *testing.T) {
	dsn := testpg.DSN(t)
	pool, err := sql.Open("pgx", dsn)
	must(t, err)
	t.Cleanup(func() { must(t, pool.Close()) })
	const n = 2000
	l := &live{mover: newMover(t, db{pool, rotate.PostgreSQL, "bytea"}), rows: make([]liveRow, n), stop: make(chan struct{})}
	l.opt.LockTimeout, l.opt.Attempts = 500*time.Millisecond, 50
	l.db.exec(t, fmt.Sprintf(peopleSQL, n))
	for i := range l.rows {
		l.rows[i].tenant, l.rows[i].last = fmt.Sprintf("tenant-%d", (i+1)%3), mail(int64(i+1))
	}
	l.moving, l.moved = l.open(&movingPerson{}, dsn), l.open(&movedPerson{}, dsn)
	var wg sync.WaitGroup
	stopped := sync.OnceFunc(func() { close(l.stop); wg.Wait() })
	t.Cleanup(stopped)
	l.each(&wg, l.old)
	l.used(50)
	must(t, l.move("both").Prepare(t.Context()))
	l.each(&wg, l.old)
	l.each(&wg, l.dual)
	l.each(&wg, l.reader)
	l.used(50)
	for range 3 {
		cfg := l.config()
		cfg.PageSize = 50
		_, err := rotate.Run(t.Context(), cfg, rotate.Job{Kind: rotate.Seal, Table: l.policy("both")})
		must(t, err)
	}
	l.used(50)
	must(t, l.move("both").Swap(t.Context()))
	l.swapped.Store(true)
	l.used(50)
	stopped()

	got := l.opened("email")
	for i := range l.rows {
		if id := int64(i + 1); got[id] != l.rows[i].last {
			t.Fatalf("row %d is %q, want %q", id, got[id], l.rows[i].last)
		}
	}
	must(t, l.move("").Drop(t.Context()))
	if left := l.text("SELECT count(*) FROM people t WHERE t::text LIKE '%example.com%' OR position('example.com'::bytea IN email) > 0"); left != "0" {
		t.Errorf("%s rows have a value in clear", left)
	}
	t.Logf("%d writes, %d reads", l.writes.Load(), l.reads.Load())
}

// used waits until the table was written to, and read once there are readers.
func (l *live) used(times int64) {
	l.t.Helper()
	writes, reads := l.writes.Load()+times, l.reads.Load()+times/2
	end := time.Now().Add(time.Minute)
	for l.writes.Load() < writes || l.reads.Load() > 0 && l.reads.Load() < reads {
		if time.Now().After(end) {
			l.t.Fatalf("the table is not used any more: %d writes, %d reads", l.writes.Load(), l.reads.Load())
		}
		time.Sleep(time.Millisecond)
	}
}
