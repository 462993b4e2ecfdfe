package rotate

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
)

// Kind says what a job does to the rows of a table.
type Kind string

// The kinds of jobs.
const (
	// Rewrap brings the row keys that values carry to the keys that are current
	// now. No value is opened. It counts "rewrapped" values.
	Rewrap Kind = "rewrap"
	// Reseal opens values and seals them again, under the keys, suite, terms and
	// padding that the policy says now. It counts "resealed" values. Option "all", "true" or
	// "false", is for those too that are sealed so already.
	Reseal Kind = "reseal"
	// Seal fills sealed columns that are in transition from their plain columns. It counts
	// "sealed", "resealed" and, where the policy writes the sealed column alone, "emptied".
	Seal Kind = "seal"
	// Unseal fills plain columns from the sealed columns that are in transition. It counts "unsealed".
	Unseal Kind = "unseal"
	// Verify opens values and writes nothing. It counts values by what their headers say,
	// "opened" ones, and each finding: "column/NAME", "suite/N" and "mode/N" by the numbers of package
	// envelope, "key/ID" by the id of the tenant key, or of the root key that wraps the row key, [OtherKeys],
	// "finding/KIND". Option "sample" is the part of the rows whose values are opened, above "0" and up to
	// "1", chosen by their keys; "seed" chooses others; "destroyed", "true" or "false", finds no fault
	// with values of destroyed keys; "kept", "true" or "false", none with a plain value in a column in transition that the
	// sealed one beside it opens to.
	Verify Kind = "verify"
	// Overwrite replaces what is left of a shredded tenant's values, terms
	// included, by values that nothing opens, in columns with `scope: global`, or with option "all",
	// "true" or "false", in all. It needs Job.Tenant, and counts "overwritten" values. The error is
	// ErrNotShredded while the tenant has keys.
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
	// Options are the kind's own, by name, as the kinds say; they belong to the job's identity.
	Options map[string]string

	part bool // Table is not all that the policy says of it
}

// Config says what jobs run with.
type Config struct {
	// DB is where the table is, and where the job's progress is kept; required. It gives each worker a
	// connection, and one or two beside them.
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

// The bounds of Config.
const (
	defaultPage     = 2000
	maxPage         = 5000
	maxWorkers      = 64
	defaultLease    = 30 * time.Second
	minLease        = 5 * time.Second
	maxLease        = 10 * time.Minute
	defaultPatience = 5 * time.Minute
)

// validate checks c and fills in what is left out.
func (c *Config) validate() error {
	switch {
	case c.DB == nil || c.Keyring == nil:
		return errors.New("rotate: Config needs DB and Keyring")
	case c.PageSize < 0 || c.PageSize > maxPage:
		return fmt.Errorf("rotate: PageSize is %d; 1 to %d is allowed, 0 means %d", c.PageSize, maxPage, defaultPage)
	case c.Workers < 0 || c.Workers > maxWorkers:
		return fmt.Errorf("rotate: Workers is %d; 1 to %d is allowed, 0 means 1", c.Workers, maxWorkers)
	case c.Lease != 0 && (c.Lease < minLease || c.Lease > maxLease):
		return fmt.Errorf("rotate: Lease is %v; %v to %v is allowed, 0 means %v", c.Lease, minLease, maxLease, defaultLease)
	case c.Patience < 0:
		return fmt.Errorf("rotate: Patience is %v; it is 0, for %v, or more", c.Patience, defaultPatience)
	case c.SkipTriggers && c.Dialect != PostgreSQL:
		return fmt.Errorf("rotate: SkipTriggers is for PostgreSQL; %v has no such setting", c.Dialect)
	}
	c.PageSize, c.Workers = orElse(c.PageSize, defaultPage), orElse(c.Workers, 1)
	c.Lease, c.Patience = orElse(c.Lease, defaultLease), orElse(c.Patience, defaultPatience)
	if c.Dialect == SQLite {
		c.Workers = 1 // which has one writer
	}
	if c.Owner == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		c.Owner = fmt.Sprintf("%s:%d", host, os.Getpid())
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return checkConcurrency(&c.Concurrency)
}

func orElse[T comparable](v, instead T) T {
	var zero T
	if v == zero {
		return instead
	}
	return v
}

// entry is the job as the journal has it. Its name is a hash of all that makes it this job.
func (j *Job) entry(owner string) (entry, error) {
	if j.Table == nil {
		return entry{}, errors.New("rotate: Job.Table is nil")
	}
	columns := slices.Clone(j.Columns)
	slices.Sort(columns)
	for _, c := range columns {
		if j.Table.Column(c) == nil {
			return entry{}, fmt.Errorf("rotate: %w: %s.%s is not a sealed column of the policy", ErrNoColumn, j.Table.Name(), c)
		}
	}
	spec, err := json.Marshal(jobSpec{columns, j.Tenant, j.Options})
	if err != nil {
		return entry{}, err
	}
	name, err := json.Marshal([]string{string(j.Kind), j.Table.Name(), string(spec)})
	if err != nil {
		return entry{}, err
	}
	sum := sha256.Sum256(name)
	return entry{name: hex.EncodeToString(sum[:]), kind: j.Kind, table: j.Table.Name(), spec: string(spec), owner: owner}, nil
}

// Result is what became of a job, counted over all processes and interruptions since
// the job began.
type Result struct {
	// ID is the job's number in the journal.
	ID int64
	// Joined says that the job was there already, begun by another process or an
	// earlier call.
	Joined bool
	// Counts are by name: "rows" read, "values" in them, those that were "current" already, those of "destroyed"
	// keys, those that "failed", and what the kind counts, as the kinds say. What is 0 may be missing.
	Counts map[string]int64
	// Findings are the first of the values that failed.
	Findings []Finding
	// Warnings are what is to be known of how the job was done.
	Warnings []string
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
