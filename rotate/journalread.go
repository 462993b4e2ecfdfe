package rotate

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

const statusColumns = "SELECT id, kind, tbl, spec, state, orders, total, started_at, ended_at FROM {jobs}"

func (j *sqlJournal) read(ctx context.Context, id int64) (Status, error) {
	ok, err := j.installed(ctx)
	if err != nil {
		return Status{}, err
	}
	if !ok {
		return Status{}, fmt.Errorf("rotate: %w: %d", ErrNoJob, id)
	}
	s, err := j.status(ctx, id)
	if err != nil {
		return Status{}, err
	}
	if err := j.place(ctx, &s); err != nil {
		return Status{}, err
	}
	return s, j.readFindings(ctx, &s)
}

// status reads a job without its findings.
func (j *sqlJournal) status(ctx context.Context, id int64) (Status, error) {
	s, err := scanStatus(j.db.QueryRowContext(ctx, j.text(statusColumns+" WHERE id = ?"), id))
	if errors.Is(err, sql.ErrNoRows) {
		return Status{}, fmt.Errorf("rotate: %w: %d", ErrNoJob, id)
	}
	if err != nil {
		return Status{}, j.explain(err)
	}
	return s, j.fill(ctx, &s)
}

func (j *sqlJournal) list(ctx context.Context, all bool) ([]Status, error) {
	ok, err := j.installed(ctx)
	if !ok || err != nil {
		return nil, err
	}
	where := " WHERE open IS NOT NULL"
	if all {
		where = ""
	}
	var jobs []Status
	err = j.each(ctx, statusColumns+where+" ORDER BY id DESC", nil, func(rows *sql.Rows) error {
		s, err := scanStatus(rows)
		jobs = append(jobs, s)
		return err
	})
	for i := range jobs {
		if err == nil {
			err = j.fill(ctx, &jobs[i])
		}
		if err == nil {
			err = j.place(ctx, &jobs[i])
		}
	}
	return jobs, err
}

func (j *sqlJournal) each(ctx context.Context, statement string, args []any, do func(*sql.Rows) error) (err error) {
	rows, err := j.db.QueryContext(ctx, j.text(statement), args...)
	if err != nil {
		return j.explain(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := do(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func scanStatus(row interface{ Scan(into ...any) error }) (Status, error) {
	var s Status
	var orders string
	var started, ended int64
	if err := row.Scan(&s.ID, &s.Kind, &s.Table, &s.Spec, &s.State, &orders, &s.Total, &started, &ended); err != nil {
		return s, err
	}
	s.Started = time.UnixMicro(started).UTC()
	if ended != 0 {
		s.Ended = time.UnixMicro(ended).UTC()
	}
	return s, json.Unmarshal([]byte(orders), &s.Order)
}

// fill reads counts and ranges.
func (j *sqlJournal) fill(ctx context.Context, s *Status) error {
	s.Counts = map[string]int64{}
	// A sum of bigint is numeric in PostgreSQL, and decimal in MySQL.
	const sums = "SELECT name, CAST(sum(n) AS {sum}) FROM {tallies} WHERE job = ? GROUP BY name"
	err := j.each(ctx, sums, []any{s.ID}, func(rows *sql.Rows) error {
		var name string
		var n int64
		err := rows.Scan(&name, &n)
		if name == settledTally {
			s.decided, s.Settled = true, n > 0
			return err
		}
		s.Counts[name] = n
		return err
	})
	if err != nil {
		return err
	}
	const ranges = `SELECT done, CASE WHEN done = 0 AND until_at >= {now} THEN owner ELSE '' END,
		CASE WHEN done = 0 AND until_at >= {now} THEN held ELSE '' END FROM {ranges} WHERE job = ? ORDER BY no`
	return j.each(ctx, ranges, []any{s.ID}, func(rows *sql.Rows) error {
		var done int
		var owner, held string
		if err := rows.Scan(&done, &owner, &held); err != nil {
			return err
		}
		s.Ranges++
		if done == 0 {
			s.Left++
		}
		if owner != "" && !slices.Contains(s.Owners, owner) {
			s.Owners = append(s.Owners, owner)
		}
		if held != "" {
			s.Held = held
		}
		return nil
	})
}

func (j *sqlJournal) readFindings(ctx context.Context, s *Status) error {
	statement := fmt.Sprintf("SELECT kind, tbl, col, at_row, detail FROM {findings} WHERE job = ? ORDER BY id LIMIT %d", keptFindings)
	return j.each(ctx, statement, []any{s.ID}, func(rows *sql.Rows) error {
		var f Finding
		err := rows.Scan(&f.Kind, &f.Table, &f.Column, &f.Row, &f.Detail)
		s.Findings = append(s.Findings, f)
		return err
	})
}
