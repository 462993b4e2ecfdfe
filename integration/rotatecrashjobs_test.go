package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/rotate"
)

// crashJob is a job that is killed.
type crashJob struct {
	// prepare makes it due, while nobody writes.
	prepare func(l *lane)
	// run does it, in a process of its own.
	run func(ctx context.Context, h *hand, o *crashOrder) (crashReport, error)
	// check is what the job is for.
	check func(l *lane)
	// journaled jobs are kept in the database.
	journaled bool
	// alone: no other process does the same.
	alone bool
}

// crashJobs are all of them, by name. Those with a 2 have two workers, on ranges of about a page.
var crashJobs map[string]crashJob

func init() {
	crashJobs = map[string]crashJob{ // here, because its functions look into it
		"rewrap":   {rewrapDue, walks(1, rotate.Job{Kind: rotate.Rewrap}), (*lane).rewrapped, true, false},
		"rewrap2":  {rewrapDue, walks(2, rotate.Job{Kind: rotate.Rewrap}), (*lane).rewrapped, true, false},
		"reseal":   {resealDue, walks(1, rotate.Job{Kind: rotate.Reseal}), (*lane).resealed, true, false},
		"reseal2":  {resealDue, walks(2, rotate.Job{Kind: rotate.Reseal}), (*lane).resealed, true, false},
		"anew":     {resealAllDue, walks(2, rotate.Job{Kind: rotate.Reseal, Options: map[string]string{"all": "true"}}), (*lane).sealedAnew, true, false},
		"verify":   {func(*lane) {}, walks(1, rotate.Job{Kind: rotate.Verify}), func(*lane) {}, true, false},
		"blank":    {overwriteDue, walks(2, rotate.Job{Kind: rotate.Overwrite, Options: map[string]string{"all": "true"}}), (*lane).blanked, true, false},
		"rootkeys": {rewrapKeysDue, rewrapsKeys, (*lane).keysRewrapped, false, false},
		"shred":    {shredDue, shreds, (*lane).shredded, false, false},
		// The whole way, with an application that goes along: through the proxy, and by deployments between the steps.
		"seal":   {sealDue, seals, (*lane).sealedAway, true, true},
		"empty":  {sealDue, empties, (*lane).sealedAway, true, true},
		"unseal": {unsealDue, unseals, (*lane).inClear, true, true},
		// The long part of it.
		"backfill": {backfillDue, backfills, (*lane).backfilled, true, false},
	}
}

// walks is a job over folk.
func walks(workers int, job rotate.Job) func(context.Context, *hand, *crashOrder) (crashReport, error) {
	return func(ctx context.Context, h *hand, o *crashOrder) (crashReport, error) {
		job := job
		job.Table = h.table
		if job.Kind == rotate.Overwrite {
			job.Tenant = o.Tenant
		}
		if job.Options != nil {
			job.Options = map[string]string{"all": "true"}
		}
		h.cfg.Workers = workers
		r, err := rotate.Run(ctx, h.cfg, job)
		return crashReport{Counts: r.Counts, Joined: r.Joined}, err
	}
}

// rotateTenants gives each tenant a new key for values.
func (l *lane) rotateTenants() {
	l.t.Helper()
	for _, tenant := range folkTenants {
		_, err := l.ring.Rotate(l.t.Context(), keyring.PurposeTenant, tenant, "test", "due")
		must(l.t, err)
	}
}

func (l *lane) rotateRoot() {
	l.t.Helper()
	_, err := l.root.Rotate(l.t.Context())
	must(l.t, err)
}

// rewrapDue: a new root key, which wraps the key store already, and new tenant keys.
func rewrapDue(l *lane) {
	l.rotateRoot()
	_, err := rotate.RewrapKeys(l.t.Context(), rotate.KeysConfig{Keyring: l.ring})
	must(l.t, err)
	l.rotateTenants()
}

func (l *lane) rewrapped() { l.noneLeft("name", "memo") }

func resealDue(l *lane) { l.rotateTenants() }

func (l *lane) resealed() { l.noneLeft("name", "ssn", "mail") }

// resealAllDue: each value is to be another one afterwards, whoever wrote it.
func resealAllDue(l *lane) {
	l.rotateTenants()
	l.sealed = l.sealedRows()
}

func (l *lane) sealedAnew() {
	l.noneLeft("name", "ssn", "mail")
	for id, now := range l.sealedRows() {
		for i, before := range l.sealed[id] {
			if bytes.Equal(before, now[i]) {
				l.t.Errorf("row %d, column %d: was not sealed again", id, i)
			}
		}
	}
}

// goneRows are how many rows a tenant has that is shredded.
const goneRows = 60

// newTenant writes the rows of a tenant that the application knows nothing of.
func (l *lane) newTenant() {
	l.t.Helper()
	l.tenant = fmt.Sprint("gone-", l.round)
	l.gone = map[int][][]byte{}
	for i := range goneRows {
		f := l.app.fresh(1000 + i)
		values := make([]any, 0, 4)
		for _, v := range f.values() {
			values = append(values, v)
		}
		rows := []field.SealRow{{Row: field.Row{Tenant: l.tenant}, Values: values}}
		must(l.t, l.cfg.Cipher.SealRows(l.t.Context(), l.table.Columns(), rows))
		s := rows[0].Sealed
		l.exec("INSERT INTO folk (id, tenant, name, memo, ssn, mail) VALUES ($1, $2, $3, $4, $5, $6)", f.ID, l.tenant, s[0], s[1], s[2], s[3])
		l.gone[f.ID] = s
	}
}

// overwriteDue: a tenant that is shredded already.
func overwriteDue(l *lane) {
	l.newTenant()
	_, err := l.ring.Shred(l.t.Context(), l.tenant, "test", "asked for")
	must(l.t, err)
}

// blanked: nothing is left of the tenant's values, terms included.
func (l *lane) blanked() {
	rows := l.sealedRows()
	for id, before := range l.gone {
		for i, sealed := range rows[id] {
			was, err := envelope.Parse(before[i])
			must(l.t, err)
			is, err := envelope.Parse(sealed)
			must(l.t, err)
			if bytes.Equal(before[i], sealed) || was.Equality() != nil && bytes.Equal(was.Equality(), is.Equality()) {
				l.t.Errorf("row %d, column %d: was not overwritten", id, i)
			}
		}
	}
	l.lost()
}

// lost checks that the shredded tenant's values do not open, and that it gets no new key.
func (l *lane) lost() {
	ctx := l.t.Context()
	rows := l.sealedRows()
	for id := range l.gone {
		for i, col := range l.table.Columns() {
			if col.Mode() == envelope.ModeKMS && l.job == "shred" {
				continue // which takes an overwrite
			}
			var got string
			if err := l.cfg.Cipher.Open(ctx, &got, col, field.Row{Tenant: l.tenant}, rows[id][i]); err == nil {
				l.t.Errorf("row %d, %s: opens", id, col.Name())
			}
		}
	}
	for _, col := range l.table.Columns() {
		if col.Mode() == envelope.ModeKMS {
			continue
		}
		if _, err := l.cfg.Cipher.Seal(ctx, nil, col, field.Row{Tenant: l.tenant}, "x"); !errors.Is(err, keyring.ErrDestroyed) {
			l.t.Errorf("sealing %s for a shredded tenant: %v", col.Name(), err)
		}
	}
}

func rewrapKeysDue(l *lane) { l.rotateRoot() }

func rewrapsKeys(ctx context.Context, h *hand, _ *crashOrder) (crashReport, error) {
	r, err := rotate.RewrapKeys(ctx, rotate.KeysConfig{Keyring: h.ring, Concurrency: 2})
	return crashReport{Counts: map[string]int64{"checked": int64(r.Checked), "rewrapped": int64(r.Rewrapped)}}, err
}

// keysRewrapped: each key that lives is wrapped by the current root key alone.
func (l *lane) keysRewrapped() {
	root, err := l.root.Current(l.t.Context())
	must(l.t, err)
	must(l.t, l.ring.Each(l.t.Context(), keyring.Filter{}, func(r keyring.Record) error {
		if len(r.Wraps) != 1 || r.Wraps[0].RootKey != root {
			return fmt.Errorf("%s is not wrapped by %s alone", &r, root)
		}
		return nil
	}))
	cipher, end := l.newestOnly()
	defer end()
	for id, sealed := range l.sealedRows() {
		l.opens(cipher, id, sealed, []string{"name", "ssn", "mail"})
	}
}

func shredDue(l *lane) { l.newTenant() }

func shreds(ctx context.Context, h *hand, o *crashOrder) (crashReport, error) {
	s, err := h.ring.Shred(ctx, o.Tenant, "test", "asked for")
	return crashReport{Counts: map[string]int64{"keys": int64(len(s.Keys))}}, err
}

// shredded: the tenant's keys are tombstones that say who and why, and one of each purpose stands in the way of the next.
func (l *lane) shredded() {
	keys, marks := 0, 0
	must(l.t, l.ring.Each(l.t.Context(), keyring.Filter{Tenant: l.tenant}, func(r keyring.Record) error {
		keys++
		if r.Mark() {
			marks++
		}
		if r.State != keyring.Destroyed || len(r.Wraps) > 0 || r.ChangedBy != "test" || r.Reason != "asked for" {
			return fmt.Errorf("%s is left, by %q for %q", &r, r.ChangedBy, r.Reason)
		}
		return nil
	}))
	if keys != 4 || marks != 2 {
		l.t.Errorf("%d tombstones, %d of them marks; want 4 and 2", keys, marks)
	}
	l.lost()
}
