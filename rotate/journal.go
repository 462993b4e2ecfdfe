package rotate

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

var (
	// ErrFenced: a range of the table is another process's by now, because this one was not heard of
	// for longer than its lease. Run deals with it.
	ErrFenced = errors.New("the range was taken over by another process")
	// ErrNoJob: the journal has no such job, or it is over.
	ErrNoJob = errors.New("no such job")
	// ErrCanceled: an operator canceled the job.
	ErrCanceled = errors.New("the job was canceled")
	// ErrNoJournal: the tables that keep jobs' progress are not there and cannot be made.
	ErrNoJournal = errors.New("the journal of jobs cannot be used")
)

// journal keeps the progress of jobs in the database whose rows they walk, so that
// a page and the cursor behind it are written in one transaction. Times are the database's.
type journal interface {
	// install makes the journal's tables where they are not there.
	install(ctx context.Context) error
	// begin returns the open job that is equal to j, or begins one with the ranges of split.
	begin(ctx context.Context, j entry, split func(ctx context.Context) (total int64, spans []span, err error)) (id int64, joined bool, err error)
	// claim gives owner a range of the job that is not done and nobody's, or whose lease is over. ok is
	// false where there is none now; left says how many are not done.
	claim(ctx context.Context, id int64, owner string, lease time.Duration) (c claim, ok bool, left int, err error)
	// opened returns the id of the open job of that name, or 0.
	opened(ctx context.Context, q querier, name string) (int64, error)
	// claimRange is claim for one range. holder is who has it; c.done says that nothing of it is left.
	claimRange(ctx context.Context, id int64, no int, owner string, lease time.Duration) (c claim, holder string, err error)
	// renew extends the lease and says why the range waits, "" for not at all. It returns the claim with the
	// cursor as the journal has it, or ErrFenced where the range is somebody else's by now.
	renew(ctx context.Context, c claim, lease time.Duration, held string) (claim, error)
	// release gives the range up, so that others need not wait for the lease to end.
	release(ctx context.Context, c claim) error
	// park is release that says why the range waits, to be shown for so long unless somebody walks it on.
	park(ctx context.Context, c claim, held string, shown time.Duration) error
	// advance notes in tx that the range was walked up to cursor, and adds counts and findings. ErrFenced
	// where the range is somebody else's by now: the transaction must be rolled back then.
	advance(ctx context.Context, tx querier, c claim, a advance, lease time.Duration) error
	// staleVerify returns the open verify of that name where it was begun more than verifyAge ago, and for verifyIdle nobody
	// had a range of it; or 0.
	staleVerify(ctx context.Context, name string) (int64, error)
	// decide notes of a verify, once for all, whether it saw all that transactions from before it wrote.
	decide(ctx context.Context, id int64, settled bool) error
	// finish marks the job done where all its ranges are, and reports whether it is.
	finish(ctx context.Context, id int64) (bool, error)
	// read returns what the journal has of a job, list of those that are not over, or of all.
	read(ctx context.Context, id int64) (Status, error)
	// status is read without findings.
	status(ctx context.Context, id int64) (Status, error)
	list(ctx context.Context, all bool) ([]Status, error)
	// order gives an operator's command to a job that is not over; ErrNoJob where it is.
	order(ctx context.Context, id int64, o Order) error
	// change gives it the order that change makes of the one that stands.
	change(ctx context.Context, id int64, change func(*Order) error) error
	// supersede ends a job that is not over, with o's reason.
	supersede(ctx context.Context, id int64, o Order) error
}

// entry is a job as the journal knows it.
type entry struct {
	name  string // of equal jobs equal
	kind  Kind
	table string
	spec  string // JSON, for status
	owner string
}

// span is a range of keys, above lo and up to hi; nil is open. Each is a key of the table, as
// encodeKey writes it.
type span struct{ lo, hi []byte }

// claim is a range that is this process's until its lease ends.
type claim struct {
	job    int64
	no     int
	fence  int64
	cursor []byte // nil: from lo
	done   bool   // by renew: nothing is left of it
	span
}

// advance is what a page adds.
type advance struct {
	cursor   []byte
	done     bool // nothing of the range is left
	counts   map[string]int64
	findings []Finding
}

// Order is an operator's command to a running job, which takes it within a
// few seconds on every machine that works on it.
type Order struct {
	// Pause holds the job until an Order without it; By and Reason are shown meanwhile.
	Pause  bool   `json:"pause,omitempty"`
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Limits, where it is not nil, replaces the limits of all processes.
	Limits *Limits `json:"limits,omitempty"`
	// Cancel ends the job where it stands.
	Cancel bool `json:"cancel,omitempty"`
}

// A verify that was begun so long ago is not gone on with where it rests for a while: what its report says of the first rows is
// of another day.
const (
	verifyAge  = 24 * time.Hour
	verifyIdle = 10 * time.Minute
)

// The states of jobs.
const (
	StateRunning  = "running" // not over; whether anybody works on it, Owners says
	StateDone     = "done"
	StateCanceled = "canceled"
	// StateSuperseded: keys, policy or columns are not those that the job was begun for. Order.Reason says which, and
	// what job took its place.
	StateSuperseded = "superseded"
)

// Status is a job as the journal has it.
type Status struct {
	ID    int64  `json:"id"`
	Kind  Kind   `json:"kind"`
	Table string `json:"table"`
	// Schema is where Table is that has none in its name; PostgreSQL. Elsewhere says that the connection that asks finds
	// another table under the name, or none.
	Schema    string           `json:"schema,omitempty"`
	Elsewhere bool             `json:"elsewhere,omitempty"`
	Spec      string           `json:"spec"`  // JSON
	State     string           `json:"state"` // a State… constant
	Order     Order            `json:"order"`
	Total     int64            `json:"total"` // rows, counted or estimated at the start
	Counts    map[string]int64 `json:"counts"`
	Findings  []Finding        `json:"findings,omitempty"`
	Ranges    int              `json:"ranges"`
	Left      int              `json:"left"`             // ranges that are not done
	Owners    []string         `json:"owners,omitempty"` // who works on it now
	Held      string           `json:"held,omitempty"`   // why it waits, as its owners last said
	Started   time.Time        `json:"started"`
	Ended     time.Time        `json:"ended,omitzero"`
	// Settled says of a verify that every transaction which was open when it began had ended before it read the first page.
	Settled bool `json:"settled,omitempty"`

	decided bool // Settled will not change
}

// Jobs lists the jobs of a database that are not over, or all, the newest first, without their findings.
// Where no job ever ran there are none. It returns the database's errors.
func Jobs(ctx context.Context, db *sql.DB, dialect Dialect, all bool) ([]Status, error) {
	j, err := newJournal(dialect, db)
	if err != nil {
		return nil, err
	}
	return j.list(ctx, all)
}

// JobByID returns a job with the findings that are kept of it, or ErrNoJob.
func JobByID(ctx context.Context, db *sql.DB, dialect Dialect, id int64) (Status, error) {
	j, err := newJournal(dialect, db)
	if err != nil {
		return Status{}, err
	}
	return j.read(ctx, id)
}

// Command gives an order to a job that is not over, in place of the order before it; all processes that
// work on the job take it within about a second. It returns ErrNoJob where there is no such job, or it is over, and the
// error of [Limits.Validate].
func Command(ctx context.Context, db *sql.DB, dialect Dialect, id int64, o Order) error {
	if err := o.validate(dialect); err != nil {
		return err
	}
	j, err := newJournal(dialect, db)
	if err != nil {
		return err
	}
	return j.order(ctx, id, o)
}

// Change changes the order of a job that is not over: what another operator ordered meanwhile is kept where change leaves it.
// Change may call it several times. The errors are those of [Command], and those of [Limits.Validate].
func Change(ctx context.Context, db *sql.DB, dialect Dialect, id int64, change func(*Order)) error {
	j, err := newJournal(dialect, db)
	if err != nil {
		return err
	}
	return j.change(ctx, id, func(o *Order) error {
		change(o)
		return o.validate(dialect)
	})
}

func (o *Order) validate(d Dialect) error {
	if o.Limits == nil {
		return nil
	}
	return o.Limits.Validate(d)
}

// InitJournal makes the tables that keep jobs' progress, where they are not there: in PostgreSQL those of
// schema rowseal, elsewhere rowseal_jobs and its like. [Run] does it too where the account may; the
// error is ErrNoJournal where it may not.
func InitJournal(ctx context.Context, db *sql.DB, dialect Dialect) error {
	j, err := newJournal(dialect, db)
	if err != nil {
		return err
	}
	return j.install(ctx)
}

// JournalSchema are the statements by which [InitJournal] would make the tables; none where they are there.
func JournalSchema(ctx context.Context, db *sql.DB, dialect Dialect) ([]string, error) {
	j, err := newJournal(dialect, db)
	if err != nil {
		return nil, err
	}
	if ok, err := j.installed(ctx); ok || err != nil {
		return nil, err
	}
	return j.schema, nil
}
