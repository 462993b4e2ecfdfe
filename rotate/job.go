package rotate

import (
	"database/sql"
	"log/slog"
	"time"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
)

// Kind says what a job does to the rows of a table.
type Kind string

// The kinds of jobs.
const (
	// Rewrap brings the row keys that values carry to the keys that are current
	// now. No value is opened.
	Rewrap Kind = "rewrap"
	// Reseal opens values and seals them again, under the keys, suite, terms and
	// padding that the policy says now.
	Reseal Kind = "reseal"
	// Seal fills sealed columns that are in transition from their plain columns.
	Seal Kind = "seal"
	// Unseal fills plain columns from the sealed columns that are in transition.
	Unseal Kind = "unseal"
	// Verify opens values and writes nothing.
	Verify Kind = "verify"
	// Overwrite replaces what is left of a shredded tenant's values, terms
	// included, by values that nothing opens.
	Overwrite Kind = "overwrite"
)

// Job is one kind of work on one table. Two jobs that are equal are the same job:
// whoever starts the second one joins the first.
type Job struct {
	// Kind is required.
	Kind Kind
	// Table is the table to walk; required.
	Table *field.Table
	// Columns are the names of the sealed columns that the job is about; none
	// means all that the kind has to do with.
	Columns []string
	// Tenant narrows the job to the rows of one tenant; "" means all rows.
	Tenant string
	// Options are the kind's own, by name; they belong to the job's identity.
	Options map[string]string
}

// Config says what jobs run with.
type Config struct {
	// DB is where the table is, and where the job's progress is kept; required.
	DB *sql.DB
	// Dialect is the SQL that DB speaks; required.
	Dialect Dialect
	// Keyring has the keys; required. What it holds is forgotten at the start,
	// so that rotations by other processes are seen.
	Keyring *keyring.Keyring
	// Cipher seals and opens; required but for [Rewrap] and [Overwrite].
	Cipher *field.Cipher
	// Workers is how many ranges of the table this process walks at a time, each
	// on a connection of its own, 1 to 64; 0 means 1. SQLite has one writer.
	Workers int
	// PageSize is how many rows are read and written at a time at most, 1 to
	// 5,000; 0 means 2,000. Limits may make pages smaller.
	PageSize int
	// Concurrency bounds the KMS calls under way; 0 means 16.
	Concurrency int
	// Limits slow the job down for the sake of others; the zero value does not.
	Limits Limits

	// SkipTriggers keeps triggers from firing for rows that the job writes, `updated_at` among them, by
	// session_replication_role, which needs superuser and switches foreign keys off too. PostgreSQL only.
	SkipTriggers bool
	// Owner names this process in the journal and in other processes' output;
	// "" means host name and process id.
	Owner string
	// Lease is how long a range stays this process's if it is not heard of, 5
	// seconds to 10 minutes; 0 means 30 seconds.
	Lease time.Duration
	// Patience is how long the job waits for a server or KMS that is gone before it
	// gives up; 0 means 5 minutes. Run again, it goes on.
	Patience time.Duration
	// Progress, if set, is told about once a second and at the end, one call at a time.
	Progress func(Progress)
	// Log takes warnings and what is decided; nil discards it. It gets no value.
	Log *slog.Logger
}

// Result is what became of a job, counted over all processes and interruptions since
// the job began.
type Result struct {
	// ID is the job's number in the journal.
	ID int64
	// Joined says that the job was there already, begun by another process or an
	// earlier call.
	Joined bool
	// Counts are by name: "rows" read, "values" in them, and what the kind counts.
	Counts map[string]int64
	// Findings are the first of the values that failed.
	Findings []Finding
	// Started and Ended are by the database's clock; Ended is zero for a job that is not done.
	Started, Ended time.Time
}

// Finding is something that is wrong with a value or a row. It stays as it was.
type Finding struct {
	// Kind is a word for what is wrong, see the Finding… constants.
	Kind string `json:"kind"`
	// Table, Column and Row say where: Row is the primary key, `id=42`.
	Table  string `json:"table"`
	Column string `json:"column,omitempty"`
	Row    string `json:"row"`
	// Detail says it in words. It holds no plaintext and no key.
	Detail string `json:"detail"`
}
