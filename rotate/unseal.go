package rotate

import (
	"bytes"
	"context"
	"fmt"

	"github.com/rowseal/rowseal/field"
)

// unsealing fills plain columns from the sealed columns that take over from them, where the plain one is NULL or
// differs. The sealed values stay: the plain one is complete when the job is done, and nothing is lost by going back.
type unsealing struct{ *movingPage }

// newUnseal makes the work of an Unseal.
func newUnseal(ctx context.Context, cfg *Config, job *Job) (work, error) {
	page, err := newMovingPage(ctx, cfg, job)
	if err != nil {
		return nil, err
	}
	for _, c := range page.columns {
		if !c.Transition().Both {
			return nil, fmt.Errorf("rotate: %w back: column %v is declared `write: sealed`, so that programs empty %s again; "+
				"deploy the policy with `write: both` first", errNoTransition, c, c.Transition().Plain)
		}
	}
	return &unsealing{page}, nil
}

// fork returns the same for another worker.
func (u *unsealing) fork() work { return &unsealing{u.movingPage.fork()} }

func (u *unsealing) plan(ctx context.Context, rows []row) ([]verdict, error) {
	defer u.release()
	u.take(rows)
	for i := range u.cells {
		u.cells[i].want = u.cells[i].set
	}
	if err := u.openWanted(ctx); err != nil {
		return nil, err
	}
	n := len(u.columns)
	verdicts := make([]verdict, len(rows))
	for i := range rows {
		v := &verdicts[i]
		v.change = change{row: rows[i], fresh: make([][]byte, n), plainTo: make([]plainEdit, n)}
		if err := u.settle(v, u.cells[i*n:(i+1)*n], u.clear[i*n:(i+1)*n]); err != nil {
			return nil, err
		}
	}
	return verdicts, nil
}

// settle decides of a row's values. The sealed bytes are written as they are, so that the row is written only if
// they are still what the plain value was made of.
func (u *unsealing) settle(v *verdict, cells []sealedCell, plain [][]byte) error {
	var values, unsealed, current int64
	for j, col := range u.columns {
		c := &cells[j]
		if v.values[j] == nil {
			continue
		}
		values++
		if c.err == nil && c.value.Type != col.Type().Code() {
			c.err = field.ErrWrongType
		}
		if c.err != nil {
			if err := judged(v, col.Name(), c.err); err != nil {
				return err
			}
			continue
		}
		if plain[j] != nil && bytes.Equal(plain[j], c.plain) {
			current++
			continue
		}
		v.fresh[j], v.writes = v.values[j], true
		v.plainTo[j] = plainEdit{set: true, value: append([]byte{}, c.plain...)}
		unsealed++
	}
	v.counts = counted(make([]count, 0, 3), count{"values", values}, count{"unsealed", unsealed}, count{"current", current})
	return nil
}
