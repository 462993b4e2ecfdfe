package rotate

import (
	"bytes"
	"context"
	"time"

	"github.com/rowseal/rowseal/field"
)

// sealing fills sealed columns from the plain columns that they take over from. With `write: both` the plain values
// stay, else they become NULL.
//
// Whoever knows the sealed column writes both columns in one statement. So where both have a value and they differ,
// somebody who knows the plain one only wrote last, and the plain value counts: it is sealed again.
type sealing struct {
	*movingPage
	sealer *reseal // gathers and seals
	// renews: a value is sealed again where its plain one is emptied, as a trigger might take an emptied value with a
	// sealed one that stays for a value that somebody set to NULL. Only PostgreSQL's can be told; see fillsSQL.
	renews bool
}

// newSeal makes the work of a Seal.
func newSeal(ctx context.Context, cfg *Config, job *Job) (work, error) {
	page, err := newMovingPage(ctx, cfg, job)
	if err != nil {
		return nil, err
	}
	return (&sealing{movingPage: page, renews: cfg.Dialect != PostgreSQL}).fork(), nil
}

// fork returns the same for another worker.
func (s *sealing) fork() work {
	page := s.movingPage.fork()
	return &sealing{movingPage: page, sealer: &reseal{sealedPage: page.sealedPage}, renews: s.renews}
}

func (s *sealing) plan(ctx context.Context, rows []row) ([]verdict, error) {
	defer s.release()
	s.take(rows)
	for i := range s.cells {
		s.cells[i].want = s.cells[i].set && s.clear[i] != nil
	}
	if err := s.openWanted(ctx); err != nil {
		return nil, err
	}
	n := len(s.columns)
	verdicts := make([]verdict, len(rows))
	for i := range verdicts {
		verdicts[i].change = change{row: rows[i], fresh: make([][]byte, n)}
	}
	s.gather()
	if err := s.sealer.seal(ctx, verdicts); err != nil {
		return nil, err
	}
	for i := range verdicts {
		if err := s.settle(&verdicts[i], i); err != nil {
			return nil, err
		}
	}
	return verdicts, nil
}

// stays says that the sealed value opened to the plain one, and is left as it is.
func (s *sealing) stays(cell int) bool {
	c, col := &s.cells[cell], s.columns[cell%len(s.columns)]
	return c.plain != nil && c.value.Type == col.Type().Code() && bytes.Equal(c.plain, s.clear[cell]) && (!s.renews || col.Transition().Both)
}

// gather collects what is to be sealed, for the rows' own tenants and row ids.
func (s *sealing) gather() {
	n, r := len(s.columns), s.sealer
	r.sealing, r.of, r.values = r.sealing[:0], r.of[:0], grown(r.values, len(s.cells))
	for i := range s.rows {
		values, any := r.values[i*n:(i+1)*n], false
		for j := range values {
			values[j] = nullValue
			c := &s.cells[i*n+j]
			if s.clear[i*n+j] == nil || c.err != nil || s.stays(i*n+j) {
				continue
			}
			if c.err = s.known(i); c.err == nil {
				values[j], any = field.Binary(s.clear[i*n+j]), true
			}
		}
		if any {
			r.sealing, r.of = append(r.sealing, field.SealRow{Row: s.rows[i], Values: values}), append(r.of, i)
		}
	}
}

// settle counts a row's values, and empties plain columns where that is what the policy says. A value that could not
// be sealed stays where it is.
func (s *sealing) settle(v *verdict, i int) error {
	n := len(s.columns)
	var values, sealed, resealed, current, emptied int64
	for j, col := range s.columns {
		c, cell := &s.cells[i*n+j], i*n+j
		if s.there(cell) || v.values[j] != nil {
			values++
		}
		switch {
		case s.unfit[cell] != nil:
			if err := judged(v, col.Transition().Plain, s.unfit[cell]); err != nil {
				return err
			}
			continue
		case c.err != nil && (s.clear[cell] != nil || v.values[j] != nil):
			if err := judged(v, col.Name(), c.err); err != nil {
				return err
			}
			continue
		case v.fresh[j] != nil && v.values[j] == nil:
			sealed++
		case v.fresh[j] != nil:
			resealed++
		case v.values[j] != nil:
			current++
		}
		if s.clear[cell] != nil && !col.Transition().Both {
			if v.plainTo == nil {
				v.plainTo = make([]plainEdit, n)
			}
			v.plainTo[j], v.writes = plainEdit{set: true}, true
			emptied++
		}
	}
	v.counts = counted(make([]count, 0, 3), count{"values", values}, count{"sealed", sealed}, count{"resealed", resealed},
		count{"current", current}, count{"emptied", emptied})
	return nil
}

func (s *sealing) release() {
	clear(s.sealer.values)
	clear(s.sealer.sealing)
	s.movingPage.release()
}

// timeOf reads a time as drivers of SQLite write it, where PostgreSQL would not: time.Time's own form.
func timeOf(text string) (time.Time, bool) {
	if at := bytes.Index([]byte(text), []byte(" m=")); at > 0 { // the monotonic clock
		text = text[:at]
	}
	for _, layout := range []string{"2006-01-02 15:04:05.999999999 -0700 MST", time.RFC3339Nano} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
