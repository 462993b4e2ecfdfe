package rotate

import (
	"context"
	"errors"
	"fmt"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
)

// outcome is what is to become of a row.
type outcome struct {
	change
	values    int // sealed values in it
	due       int // of these, values that get another key reference
	destroyed int // of these, values whose key is gone for good
	failures  []Failure
}

// plan finds the new form of every value of rows that is due.
func (j *rowsJob) plan(ctx context.Context, rows []row) ([]outcome, error) {
	outcomes := make([]outcome, len(rows))
	parsed := make([]envelope.Value, len(rows)*len(j.columns))
	var wanted []*envelope.Value
	for i, r := range rows {
		o := &outcomes[i]
		o.change = change{row: r, fresh: make([][]byte, len(r.values))}
		for c, sealed := range r.values {
			if sealed == nil {
				continue
			}
			o.values++
			v, err := parse(j.columns[c], sealed)
			if err != nil {
				o.failures = append(o.failures, j.failure(r, c, err))
				continue
			}
			at := i*len(j.columns) + c
			parsed[at] = v
			wanted = append(wanted, &parsed[at])
		}
	}
	answers, err := j.refs.of(ctx, wanted)
	if err != nil {
		return nil, err
	}
	for i := range outcomes {
		j.planRow(&outcomes[i], parsed[i*len(j.columns):(i+1)*len(j.columns)], answers)
	}
	return outcomes, nil
}

func (j *rowsJob) planRow(o *outcome, values []envelope.Value, answers map[string]answer) {
	for c := range values {
		v := &values[c]
		if v.Bytes() == nil { // NULL, or refused by parse
			continue
		}
		a := answers[refKey(v)]
		var err error
		switch {
		case errors.Is(a.err, keyring.ErrDestroyed):
			o.destroyed++
			continue
		case a.err != nil:
			err = a.err
		case a.due:
			o.fresh[c], err = envelope.Rewrap(make([]byte, 0, len(v.Bytes())+64), v, a.ref)
		}
		if err != nil {
			o.fresh[c] = nil
			o.failures = append(o.failures, j.failure(o.row, c, err))
			continue
		}
		if o.fresh[c] != nil {
			o.due++
		}
	}
}

func (j *rowsJob) failure(r row, column int, err error) Failure {
	return Failure{At: fmt.Sprintf("%v, row %s", j.columns[column], j.target.rowName(r)), Err: err}
}

// parse refuses what does not belong into the column. Its type is not looked
// at: it changes with a reseal, which a rewrap need not wait for.
func parse(col *field.Column, sealed []byte) (envelope.Value, error) {
	v, err := envelope.Parse(sealed)
	if err != nil {
		return envelope.Value{}, err
	}
	if v.Column != col.Field().ID() {
		return envelope.Value{}, ErrWrongColumn
	}
	return v, nil
}
