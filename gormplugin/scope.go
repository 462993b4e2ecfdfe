package gormplugin

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// callbacks puts the plugin around GORM's own callbacks that talk to the
// database, and around nothing else: hooks, associations and transactions see
// the application's connection pool.
func (p *Plugin) callbacks(db *gorm.DB) error {
	c := db.Callback()
	if c.Query().Get("rowseal:enter") != nil {
		return nil
	}
	return errors.Join(
		c.Create().Before("gorm:create").Register("rowseal:enter", p.enter),
		c.Create().Before("gorm:save_after_associations").Register("rowseal:leave", p.leave),
		c.Query().Before("gorm:query").Register("rowseal:enter", p.enter),
		c.Query().Before("gorm:preload").Register("rowseal:leave", p.leaveQuery),
		c.Update().Before("gorm:update").Register("rowseal:enter", p.enterUpdate),
		c.Update().Before("gorm:save_after_associations").Register("rowseal:leave", p.leave),
		c.Delete().Before("gorm:delete").Register("rowseal:enter", p.enter),
		c.Delete().Before("gorm:after_delete").Register("rowseal:leave", p.leave),
		c.Row().Before("gorm:row").Register("rowseal:enter", p.enterRow),
		c.Row().After("gorm:row").Register("rowseal:leave", p.leaveRow),
		c.Raw().Before("gorm:raw").Register("rowseal:enter", p.enter),
		c.Raw().After("gorm:raw").Register("rowseal:leave", p.leave),
	)
}

// scope is a statement's connection pool while GORM runs it: it checks what is
// sent and opens what comes back. It also holds what the clause builders tell
// each other.
type scope struct {
	gorm.ConnPool
	p        *Plugin
	stmt     *gorm.Statement
	byHand   bool // rows go to the caller: their destination is not known
	guards   []clause.Expression
	inserted *insertPage
	addedAny bool // a WHERE clause that the statement did not have
	sent     bool
	before   map[*schema.Field][]any // of an update's models
	ifNone   error                   // if the update finds no row
	origins  map[int]*origin         // of parameters of sub-queries, by their places
	ifMixed  error                   // if MySQL's upsert meets a row that is not its own
}

var _ gorm.ConnPool = (*scope)(nil)

func (p *Plugin) enter(db *gorm.DB)    { p.start(db, false) }
func (p *Plugin) enterRow(db *gorm.DB) { p.start(db, true) }

func (p *Plugin) enterUpdate(db *gorm.DB) {
	p.start(db, false)
	s, ok := db.Statement.ConnPool.(*scope)
	if m, err := p.of(db.Statement); ok && err == nil && m != nil {
		s.before = m.valuesBefore(db.Statement)
	}
}

func (p *Plugin) start(db *gorm.DB, byHand bool) {
	stmt := db.Statement
	if db.Error != nil {
		return
	}
	if stmt.Schema != nil {
		if _, err := p.models.model(stmt.Schema, p.defaultTenant()); err != nil {
			_ = db.AddError(err)
			return
		}
	}
	pool := stmt.ConnPool
	if outer, ok := pool.(*scope); ok {
		pool = outer.ConnPool
	}
	stmt.ConnPool = &scope{ConnPool: pool, p: p, stmt: stmt, byHand: byHand}
}

func (p *Plugin) leave(db *gorm.DB) {
	s, ok := db.Statement.ConnPool.(*scope)
	if !ok {
		return
	}
	db.Statement.ConnPool = s.ConnPool
	if s.addedAny {
		delete(db.Statement.Clauses, "WHERE")
	}
	if s.ifMixed != nil && isMixed(db.Error) {
		db.Error = s.ifMixed
	}
	if s.ifNone != nil && s.sent && db.Error == nil && db.RowsAffected == 0 {
		_ = db.AddError(s.ifNone)
	}
	if !s.sent && s.stmt.SQL.Len() > 0 {
		// A dry run, or an error: the text and its parameters are looked at
		// and logged all the same.
		if s.subquery() {
			s.suspend()
		} else if _, _, _, err := s.admit(s.stmt.Context, s.stmt.SQL.String(), s.stmt.Vars); err != nil && db.Error == nil {
			_ = db.AddError(err)
		}
	}
}

func (p *Plugin) leaveQuery(db *gorm.DB) {
	p.leave(db)
	p.dropUnmatched(db)
}

// leaveRow is leave for Row and Rows. Where an error stopped GORM, Row would
// return nil, and its caller panic: the error travels in a real *sql.Row.
func (p *Plugin) leaveRow(db *gorm.DB) {
	p.leave(db)
	rows, ok := db.Get("rows")
	_, isRow := db.Statement.Dest.(*sql.Row)
	if many, _ := rows.(bool); ok && !many && !isRow && db.Error != nil {
		db.Statement.Dest = p.errorRow(db.Error)
	}
}

// scopeOf returns the scope of a statement that is being built. One that is built
// outside of GORM's callbacks gets a scope of its own.
func (p *Plugin) scopeOf(stmt *gorm.Statement) *scope {
	if s, ok := stmt.ConnPool.(*scope); ok && s.stmt == stmt {
		return s
	}
	return &scope{ConnPool: stmt.ConnPool, p: p, stmt: stmt}
}

// ExecContext checks a statement and runs it.
func (s *scope) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	_, query, args, err := s.admit(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return s.ConnPool.ExecContext(ctx, query, args...)
}

// QueryContext checks a statement, runs it, and opens its rows as they are read.
func (s *scope) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	a, query, args, err := s.admit(ctx, query, args)
	if err != nil {
		return nil, err
	}
	rows, err := s.ConnPool.QueryContext(ctx, query, args...)
	if err != nil || !a.sealed {
		return rows, err
	}
	src, err := s.newSource(ctx, a, rows)
	if err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	if src == nil {
		return rows, nil
	}
	return s.p.opener.QueryContext(context.WithoutCancel(ctx), "", src)
}

// QueryRowContext is QueryContext for one row.
func (s *scope) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	a, query, args, err := s.admit(ctx, query, args)
	if err != nil {
		return s.p.errorRow(err)
	}
	if !a.sealed {
		return s.ConnPool.QueryRowContext(ctx, query, args...)
	}
	rows, err := s.ConnPool.QueryContext(ctx, query, args...)
	if err != nil {
		return s.p.errorRow(err)
	}
	src, err := s.newSource(ctx, a, rows)
	if err != nil {
		return s.p.errorRow(errors.Join(err, rows.Close()))
	}
	if src == nil {
		src = plainSource(rows)
	}
	return s.p.opener.QueryRowContext(context.WithoutCancel(ctx), "", src)
}

// textKey is what an analysis depends on.
type textKey struct {
	sql    string
	models uint64 // how many were known
	table  string // the statement's own table and model, where they differ
	model  *model
	d      dialect
}

// analysis returns what the text of the statement says.
func (s *scope) analysis(query string) *analysis {
	key := textKey{sql: query, models: s.p.models.size.Load(), d: dialectOf(s.stmt.Name())}
	if m, err := s.p.of(s.stmt); err == nil && m.seals() && s.stmt.Table != "" && len(s.p.models.tables(s.stmt.Table)) == 0 {
		key.table, key.model = s.stmt.Table, m // db.Table("users_2024")
	} else if key.models == 0 {
		return &analysis{}
	}
	if a, ok := s.p.texts.Get(key); ok {
		return a
	}
	a := analyse(query, key.d, func(name string) []*model {
		if names := tableNames(name); key.model != nil && names[len(names)-1] == strings.ToLower(key.table) {
			return []*model{key.model}
		}
		return s.p.models.tables(name)
	})
	s.p.texts.Add(key, a)
	return a
}

// admit checks a statement in front of the driver, and returns it as it is to
// be sent: with terms in the place of values that sealed columns are compared
// with, and sealed parameters out of their wrapping. What logs show is changed
// with it; of a refused statement they show no parameter.
func (s *scope) admit(ctx context.Context, query string, args []any) (a *analysis, text string, out []any, err error) {
	s.sent = true
	a = s.analysis(query)
	out = slices.Clone(args)
	for i, arg := range out {
		switch v := arg.(type) {
		case pending:
			out[i] = v.value
			if v.from != nil {
				if s.origins == nil {
					s.origins = map[int]*origin{}
				}
				s.origins[i] = v.from
			}
		case redacted:
			err = errors.Join(err, v.err)
		}
	}
	if err == nil {
		out, err = s.check(ctx, a, out)
	}
	if err != nil {
		s.redact(a, query, err)
		return nil, "", nil, err
	}
	s.show(a, query, out)
	for i, arg := range out {
		switch v := arg.(type) {
		case *sealed:
			out[i] = v.bytes
		case veiled:
			out[i] = v.value
		}
	}
	return a, cmp.Or(a.text, query), out, nil
}

// redact has logs show nothing of a refused statement but its shape.
func (s *scope) redact(a *analysis, query string, err error) {
	for i := range s.stmt.Vars {
		s.stmt.Vars[i] = redacted{err}
	}
	if a.sealed && s.stmt.SQL.String() == query {
		s.stmt.SQL.Reset()
		s.stmt.SQL.WriteString(withoutLiterals(query, dialectOf(s.stmt.Name())))
	}
}

// check refuses a statement, or returns its parameters as they are sent, with
// terms in the places of its operands.
func (s *scope) check(ctx context.Context, a *analysis, args []any) ([]any, error) {
	if a.err != nil {
		return nil, a.err
	}
	if a.moves != nil && !builtByGORM(s.stmt) {
		return nil, &Error{
			Table: a.moves.Table().Name(), Column: a.moved, Err: ErrMoves,
			Remedy: "change it with Save, which seals them anew",
		}
	}
	first := 0
	if len(args) > 0 && reflect.TypeOf(args[0]) != nil && reflect.TypeOf(args[0]).String() == "pgx.QueryExecMode" {
		first = 1 // an option of pgx in the first parameter's place
	}
	for _, use := range a.params {
		if err := use.check(args, first); err != nil {
			return nil, err
		}
	}
	if err := s.terms(ctx, a, args, first); err != nil {
		return nil, err
	}
	for _, arg := range args {
		if _, ok := unwrapLogical(arg); ok {
			return nil, &Error{Table: s.stmt.Table, Err: ErrCondition, Remedy: remedySearch}
		}
	}
	return a.sent(args, first)
}

// show has the log, and a dry run's caller, see the statement as it is sent.
func (s *scope) show(a *analysis, query string, args []any) {
	if len(s.stmt.Vars) == len(args) {
		copy(s.stmt.Vars, args)
	} else if a.ranged || len(a.doubles) > 0 {
		s.stmt.Vars = slices.Clone(args)
	}
	if a.text != "" && a.text != query && s.stmt.SQL.String() == query {
		s.stmt.SQL.Reset()
		s.stmt.SQL.WriteString(a.text)
	}
}

// builtByGORM says whether GORM assembled the assignments of a statement, so
// that the clause builders of this package have checked them.
func builtByGORM(stmt *gorm.Statement) bool {
	_, set := stmt.Clauses["SET"]
	_, conflict := stmt.Clauses["ON CONFLICT"]
	return set || conflict
}

// check refuses a parameter that the builders of this package have not sealed.
func (u paramUse) check(args []any, first int) error {
	if at := u.param + first; u.param >= 0 && at < len(args) {
		if args[at] == nil {
			return nil
		}
		if _, ok := args[at].(*sealed); ok {
			return nil
		}
	}
	return &Error{Table: u.table, Column: u.column, Err: ErrUnsealed, Remedy: remedyValue}
}
