package rotate

import (
	"context"
	"database/sql"
	"time"
)

// journal keeps the progress of jobs in the database whose rows they walk, so that
// a page and the cursor behind it are written in one transaction. Times are the database's.
type journal interface {
	// install makes the journal's tables where they are not there.
	install(ctx context.Context) error
	// begin returns the open job that is equal to j, or begins one with these ranges.
	begin(ctx context.Context, j entry, split func(ctx context.Context) ([]span, error)) (id int64, joined bool, err error)
	// claim gives owner a range of the job that is not done and nobody's, or whose lease is over. ok is
	// false where there is none now; left says how many are not done.
	claim(ctx context.Context, id int64, owner string, lease time.Duration) (c claim, ok bool, left int, err error)
	// renew extends the lease; ErrFenced where the range is somebody else's by now.
	renew(ctx context.Context, c claim, lease time.Duration) error
	// advance notes in tx that the range was walked up to cursor, and adds counts and findings. ErrFenced
	// where the range is somebody else's by now: the transaction must be rolled back then.
	advance(ctx context.Context, tx *sql.Tx, c claim, a advance, lease time.Duration) error
	// finish marks the job done where all its ranges are, and reports whether it is.
	finish(ctx context.Context, id int64) (bool, error)
	// read returns what the journal has of a job, list of all.
	read(ctx context.Context, id int64) (Status, error)
	list(ctx context.Context, all bool) ([]Status, error)
	// order gives an operator's command to a job.
	order(ctx context.Context, id int64, o Order) error
}

// entry is a job as the journal knows it.
type entry struct {
	name  string // of equal jobs equal
	kind  Kind
	table string
	spec  string // JSON, for status
	owner string
	total int64 // rows, counted or estimated
}

// span is a range of keys, above lo and up to hi; nil is open. Each is a key of the table, encoded by
// its dialect.
type span struct{ lo, hi []byte }

// claim is a range that is this process's until its lease ends.
type claim struct {
	job    int64
	no     int
	fence  int64
	cursor []byte // nil: from lo
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

// Status is a job as the journal has it.
type Status struct {
	ID             int64
	Kind           Kind
	Table          string
	Spec           string // JSON
	State          string // "running", "done", "canceled"
	Order          Order
	Total          int64
	Counts         map[string]int64
	Findings       []Finding
	Ranges, Left   int      // ranges, and those not done
	Owners         []string // who works on it now
	Held           string   // why it waits, as its owners last said
	Started, Ended time.Time
}
