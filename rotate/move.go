package rotate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/guard"
)

// Stage says how far a column has come on its way from clear to sealed. It is read from the database's catalog each
// time, so that a step that was cut off goes on where it ended.
type Stage string

// The stages.
const (
	// StageClear: the plain column alone.
	StageClear Stage = "clear"
	// StagePreparing: the sealed column is there beside the plain one, and something of what guards it is not.
	StagePreparing Stage = "preparing"
	// StagePrepared: both columns are there, guarded, and a trigger keeps the sealed one from getting stale.
	StagePrepared Stage = "prepared"
	// StageSwapped: the sealed column has the plain one's name, and NOT NULL is not set yet.
	StageSwapped Stage = "swapped"
	// StageFinished: the sealed column has the plain one's name and all that it needs; the old plain column is kept
	// beside it.
	StageFinished Stage = "finished"
	// StageSealed: the plain column is gone.
	StageSealed Stage = "sealed"
)

var (
	// ErrLocked: others hold the table, and it was not waited for them any longer. Nothing was changed.
	ErrLocked = errors.New("table is in use by others")
	// ErrObstacle: something in the database stands in the way. The error's text lists it with what to do.
	ErrObstacle = errors.New("something stands in the way")
	// ErrStage: the column is not as far as the step needs it, or further.
	ErrStage = errors.New("not the step that is next")
	// ErrNotHere: the step is for PostgreSQL; elsewhere its statements are run by hand, see [Move.Print].
	ErrNotHere = errors.New("this step's statements are to be run by hand here")
)

// MoveOptions are how a [Move] changes a table.
type MoveOptions struct {
	// LockTimeout is how long a statement waits for a lock, with all who come after waiting behind it; 0 means 2 seconds.
	LockTimeout time.Duration
	// Attempts is how often it tries, with pauses between; 0 means 20.
	Attempts int
	// AcceptOrder lets [Move.Swap] put the column elsewhere in `SELECT *`.
	AcceptOrder bool
	// Log is told of each statement that is run; it holds no value.
	Log func(statement string)
}

const (
	defaultLockTimeout  = 2 * time.Second
	defaultLockAttempts = 20
	// underLock is how long the swap may hold everybody off.
	underLock = 10 * time.Second
)

// Move takes a column of a PostgreSQL table from clear to sealed while programs use it, and back. The steps are
// [Move.Prepare], a job of [Seal], [Move.Swap] and [Move.Drop]; and back [Move.Reopen], a job of [Unseal] and
// [Move.DropSealed]. Each may be interrupted anywhere and run again, by anyone.
type Move struct {
	cfg    Config
	opt    MoveOptions
	table  *field.Table
	column *field.Column // as the policy has it
	plain  string        // the name that programs know
	sealed string        // the sealed column's while both are there; "" where the policy does not say
	old    string        // the plain column's after the swap
}

// NewMove returns the move of table's column, which is named by the sealed column, or by the plain one that it takes
// over from. cfg is what jobs run with. It connects to nothing; the error is ErrNoColumn where the policy has no
// such column.
func NewMove(cfg Config, table *field.Table, column string, opt MoveOptions) (*Move, error) {
	m := &Move{cfg: cfg, opt: opt, table: table}
	for _, c := range table.Columns() {
		if c.Name() == column || c.Transition().Plain == column {
			m.column = c
		}
	}
	switch {
	case cfg.DB == nil:
		return nil, errors.New("rotate: Config needs DB")
	case m.column == nil:
		return nil, fmt.Errorf("rotate: %w: table %s of the policy has no column %s, sealed or taken over from", ErrNoColumn, table.Name(), column)
	case opt.LockTimeout != 0 && opt.LockTimeout < time.Millisecond || opt.Attempts < 0: // the server takes 0 ms for no limit
		return nil, fmt.Errorf("rotate: LockTimeout is %v and Attempts is %d; they are 0, for %v and %d, or a millisecond and 1, or more",
			opt.LockTimeout, opt.Attempts, defaultLockTimeout, defaultLockAttempts)
	}
	m.opt.LockTimeout, m.opt.Attempts = orElse(opt.LockTimeout, defaultLockTimeout), orElse(opt.Attempts, defaultLockAttempts)
	if m.opt.Log == nil {
		m.opt.Log = func(string) {}
	}
	m.plain, m.sealed = m.column.Transition().Plain, m.column.Name()
	if m.plain == "" {
		m.plain, m.sealed = m.sealed, ""
	}
	m.old = cutName(m.plain, "_rowseal_old")
	m.cfg.PageSize = orElse(cfg.PageSize, defaultPage)
	return m, nil
}

// Column is the sealed column as the policy has it.
func (m *Move) Column() *field.Column { return m.column }

// Plain is the name that programs know the column by.
func (m *Move) Plain() string { return m.plain }

// Old is the name that the plain column has from the swap until it is dropped.
func (m *Move) Old() string { return m.old }

// String is "people.email".
func (m *Move) String() string { return m.table.Name() + "." + m.plain }

// maxIdentifier is how long PostgreSQL's names are at most, in bytes. It cuts longer ones without a word.
const maxIdentifier = 63

// cutName appends an ending to a name, of which it leaves off what would make it too long.
func cutName(name, ending string) string {
	for len(name)+len(ending) > maxIdentifier {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	return name + ending
}

// made is the name of what is made for the time of the move.
func (m *Move) made(kind string) string {
	id := m.column.Field().ID()
	return fmt.Sprintf("%s%s_%x", guard.Moving, kind, id[:])
}

// trigger is the trigger's name. It ends in the column's id, as names of columns that differ behind what a name holds
// would give one trigger, and as SQLite and MySQL want names of triggers to be unique beyond their table.
func (m *Move) trigger(kind string) string {
	id := m.column.Field().ID()
	return cutName(guard.Ours+kind+"_"+m.plain, fmt.Sprintf("_%x", id[:]))
}

// Left is what is left to do, in rows.
type Left struct {
	// Unsealed rows have a plain value and no sealed one.
	Unsealed int64
	// Plain rows have a plain value, sealed or not.
	Plain int64
	// Empty rows have a sealed value and no plain one.
	Empty int64
}

// Left counts while both columns are there. It reads the whole table, and works on each database.
func (m *Move) Left(ctx context.Context) (left Left, err error) {
	if m.sealed == "" {
		return left, fmt.Errorf("rotate: %w: the policy declares no transition for %v", ErrStage, m)
	}
	name, q := m.quoting()
	err = m.cfg.DB.QueryRowContext(ctx, fmt.Sprintf(
		"SELECT count(CASE WHEN %[1]s IS NOT NULL AND %[2]s IS NULL THEN 1 END), count(%[1]s), count(CASE WHEN %[1]s IS NULL AND %[2]s IS NOT NULL THEN 1 END) FROM %[3]s",
		q(m.plain), q(m.sealed), name)).Scan(&left.Unsealed, &left.Plain, &left.Empty)
	if err != nil {
		err = fmt.Errorf("rotate: counting what is left of %v: %w", m, err)
	}
	return left, err
}

// quoting is how the database quotes the table's name, and others.
func (m *Move) quoting() (table string, q func(string) string) {
	if m.cfg.Dialect != MySQL {
		return quoteName(m.table.Name()), quote
	}
	q = func(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
	parts := strings.Split(m.table.Name(), ".")
	for i := range parts {
		parts[i] = q(parts[i])
	}
	return strings.Join(parts, "."), q
}
