package rotate

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// verify opens values and says what is wrong with those that do not open, or that searches would not find.
//
// What a header tells is looked at in all rows: each value is counted by key, suite, key mode and column, and
// values that are not sealed, malformed, of another column or type, or of an old form are found in all of them.
// Opening is what a sample leaves out.
type verify struct {
	*sealedPage
	tenant    string
	tenantAt  string
	seed      string
	sample    uint64 // rows whose hash is at most this are opened
	destroyed bool   // values of destroyed keys are expected
	kept      bool   // plain values are expected beside sealed ones that open to them

	copied []copies              // by column, where option copies asked for them; shared by all workers
	tally  tally                 // of the page
	twins  map[[tagSize]byte]int // row keys' values of the page, by their tags, and their row
	clear  []*field.Column       // of reads.plain
	check  []byte                // a plaintext

	verdicts []verdict // of the last page
}

// tagSize is the length of what ends every value.
const tagSize = 16

// newVerify makes the work of a Verify. Option "sample" is the part of the rows that are opened, "0.01"; without
// it all are. A row is in the sample or not by its key, so that the next run opens the same ones; option
// "seed" chooses others. With option "destroyed" true, values whose key was destroyed are counted and not found. With
// option "copies" true, each process that begins or joins the job has the database look for values with row keys that stand
// in several rows, in one statement for each column.
func newVerify(ctx context.Context, cfg *Config, job *Job) (work, error) {
	sample, err := sampleOption(job)
	if err != nil {
		return nil, err
	}
	destroyed, err := boolOption(job, "destroyed")
	if err != nil {
		return nil, err
	}
	kept, err := boolOption(job, keptOption)
	if err != nil {
		return nil, err
	}
	far, err := boolOption(job, "copies")
	if err != nil {
		return nil, err
	}
	columns, err := chosenColumns(job)
	if err != nil {
		return nil, err
	}
	withPolicy(job, columns)
	tenantAt, err := tenantColumn(job)
	if err != nil {
		return nil, err
	}
	page, err := newSealedPage(ctx, cfg, job.Table, columns)
	if err != nil {
		return nil, err
	}
	v := verify{
		sealedPage: page, tenant: job.Tenant, tenantAt: tenantAt, seed: job.Options["seed"], sample: sample, destroyed: destroyed, kept: kept,
	}
	for _, c := range columns {
		if c.Transition().Plain != "" {
			v.clear = append(v.clear, c)
		}
	}
	v.tally.seen = &names{all: map[string]struct{}{}}
	if far {
		if v.copied, err = findCopies(ctx, cfg, job.Table, columns); err != nil {
			return nil, err
		}
	}
	return v.fork(), nil
}

// fork returns the same for another worker.
func (v *verify) fork() work {
	return &verify{
		sealedPage: v.sealedPage.fork(), tenant: v.tenant, tenantAt: v.tenantAt, seed: v.seed, sample: v.sample,
		destroyed: v.destroyed, kept: v.kept, copied: v.copied, clear: v.clear,
		tally: newTally(v.columns, v.tally.seen), twins: map[[tagSize]byte]int{},
	}
}

// sampleOption is the highest hash of a row that is opened.
func sampleOption(job *Job) (uint64, error) {
	text, ok := job.Options["sample"]
	if !ok {
		return math.MaxUint64, nil
	}
	part, err := strconv.ParseFloat(text, 64)
	if err != nil || !(part > 0 && part <= 1) {
		return 0, fmt.Errorf("rotate: option sample of a verify is %q; write the part of the rows to open, above 0 and at most 1, as in 0.01", text)
	}
	if part == 1 {
		return math.MaxUint64, nil
	}
	return uint64(part * (1 << 63) * 2), nil
}

func (v *verify) reads() reads {
	want := reads{sealed: namesOf(v.columns), beside: v.who.beside()}
	want.tenant.column, want.tenant.value = v.tenantAt, v.tenant
	for _, c := range v.clear {
		want.plain = append(want.plain, plainColumn{name: c.Transition().Plain, typ: c.Type()})
	}
	return want
}

func (v *verify) plan(ctx context.Context, rows []row) ([]verdict, error) {
	defer v.release()
	v.parse(rows)
	v.tally.reset()
	clear(v.twins)
	n := len(v.columns)
	for i := range rows {
		opened := v.inSample(&rows[i])
		for j, col := range v.columns {
			c := &v.cells[i*n+j]
			if c.parsed { // also where it does not belong: it may be all that is left, and its key with it
				v.tally.add(c, j)
			}
			if !c.set {
				continue
			}
			if c.want = opened && c.value.Type == col.Type().Code(); c.want {
				v.tally.opened++
			}
		}
	}
	if err := v.openWanted(ctx); err != nil {
		return nil, err
	}
	if err := v.checkTerms(ctx); err != nil {
		return nil, err
	}
	v.verdicts = grown(v.verdicts, len(rows))
	verdicts := v.verdicts
	for i := range verdicts {
		verdicts[i] = verdict{change: change{row: rows[i]}}
		if err := v.judge(verdicts, i); err != nil {
			return nil, err
		}
	}
	if len(verdicts) > 0 { // nothing is written, so that all rows settle together
		verdicts[0].counts = v.tally.counts()
	}
	return verdicts, nil
}

// inSample picks rows by a hash of their key.
func (v *verify) inSample(r *row) bool {
	if v.sample == math.MaxUint64 {
		return true
	}
	h := fnv.New64a()
	io.WriteString(h, v.seed) //nolint:errcheck // a hash takes all
	for _, k := range r.key {
		fmt.Fprintf(h, "%v\x00", k)
	}
	return mixed(h.Sum64()) <= v.sample
}

// mixed spreads a hash over all its bits, which FNV does not for short keys (the finaliser of SplitMix64, Steele
// et al., "Fast Splittable Pseudorandom Number Generators", 2014).
func mixed(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// judge sets the findings of a row: of each value the gravest.
func (v *verify) judge(all []verdict, i int) error {
	d := &all[i]
	for j, col := range v.columns {
		if d.values[j] == nil {
			continue
		}
		v.tally.values++
		f, err := v.finding(&v.cells[i*len(v.columns)+j], j, all, i)
		if err != nil {
			return err
		}
		if f.Kind == FindingDestroyedKey {
			v.tally.destroyed++
		}
		if f.Kind != "" && !(v.destroyed && f.Kind == FindingDestroyedKey) {
			v.found(d, col.Name(), f)
		}
	}
	for k, col := range v.clear {
		if k >= len(d.plain) || d.plain[k] == nil {
			continue
		}
		if f := v.leftover(col, d, i, d.plain[k]); f.Kind != "" {
			v.found(d, col.Transition().Plain, f)
		}
	}
	return nil
}

// keptOption has a verify take plain values that equal the sealed ones beside them for what is to be there, as until the
// old column of a move is dropped.
const keptOption = "kept"

func (v *verify) found(d *verdict, column string, f Finding) {
	f.Column = column
	d.findings = append(d.findings, f)
	v.tally.findings[f.Kind]++
}

// leftover is a value in clear beside a column that takes over from it. Its Kind is "" where it is to be there.
func (v *verify) leftover(col *field.Column, d *verdict, row int, plain any) Finding {
	j := slices.Index(v.columns, col)
	c := &v.cells[row*len(v.columns)+j]
	detail := "a value in clear stands here, and is sealed in " + col.Name() + " too; the transition is not done"
	switch {
	case d.values[j] == nil:
		detail = "a value in clear stands here, and is not sealed in " + col.Name() + " yet"
	case !c.want || c.err != nil: // not opened, or a finding of its own
		if v.kept {
			return Finding{}
		}
	case !v.equal(col, plain, c.plain):
		detail = "a value in clear stands here, and " + col.Name() + " has another one sealed; "
		if v.kept {
			detail += "set the one in clear to NULL where the sealed one is right, else write the right one anew"
		} else {
			detail += "a backfill seals the one in clear, which was written last"
		}
	case v.kept:
		return Finding{}
	}
	return Finding{Kind: FindingUnsealed, Detail: detail}
}

// equal says whether a plain column's value is what a sealed one opened to.
func (v *verify) equal(col *field.Column, plain any, opened []byte) bool {
	stored, err := storedBytes(col.Type(), plain)
	defer clear(stored)
	return err == nil && bytes.Equal(stored, opened)
}

// finding says what is wrong with a value that is not NULL; its Kind is "" for nothing.
func (v *verify) finding(c *sealedCell, column int, all []verdict, row int) (Finding, error) {
	col := v.columns[column]
	if c.set && c.value.Type != col.Type().Code() {
		c.err = field.ErrWrongType
	}
	if c.err == nil && c.plain != nil {
		v.check, c.err = col.Type().EncodeBinary(v.check[:0], c.plain) // does it fit the type?
	}
	if c.err != nil {
		f, own := classify(c.err)
		if !own {
			return f, c.err
		}
		return f, nil
	}
	if detail := v.tenantless(c, col, &all[row].row); detail != "" {
		return Finding{Kind: FindingWrongTenant, Detail: detail}, nil
	}
	if c.astray {
		return Finding{Kind: FindingStaleTerms, Detail: "its search term is not that of its value, so that searches do not find it; reseal the column"}, nil
	}
	if copied := v.copy(c, column, all, row); copied != "" {
		return Finding{Kind: FindingWrongRow, Detail: copied}, nil
	}
	detail := staleForm(&c.value, col)
	if detail == "" && c.plain != nil && stalePadding(&c.value, col, c.plain) {
		detail = "padded to another length than the policy says"
	}
	if detail != "" {
		return Finding{Kind: FindingStale, Detail: detail + "; reseal the column"}, nil
	}
	return Finding{}, nil
}

// tenantless says what is wrong with a value in a row whose tenant column is NULL: nothing binds it to its row then.
func (v *verify) tenantless(c *sealedCell, col *field.Column, r *row) string {
	source := col.Table().Tenant()
	switch {
	case source.Column == "" || v.who.tenant.text(r) != nil:
		return ""
	case source.Default == "":
		return fmt.Sprintf("the row names no tenant: its column %s is NULL; set it to the value's", source.Column)
	case c.plain != nil && c.owner != source.Default:
		return fmt.Sprintf("the row names no tenant, which stands for the default one, and the value is another's; set column %s", source.Column)
	}
	return ""
}

// copy says that this very value, which was sealed for one row, stands in another one too: one before it in the page, or
// any that the database has found. To remember all values here would take memory by the size of the table.
func (v *verify) copy(c *sealedCell, column int, all []verdict, row int) string {
	if c.value.Mode() == envelope.ModeTenant {
		return "" // copying a row is no mistake there
	}
	b := c.value.Bytes()
	tag := [tagSize]byte(b[len(b)-tagSize:])
	if other, ok := v.twins[tag]; ok && other != row {
		return fmt.Sprintf("the same sealed value stands in the row with key %s too", printable(fmt.Sprint(all[other].key...)))
	}
	v.twins[tag] = row
	if v.copied != nil {
		if _, ok := v.copied[column][tag]; ok {
			return "the same sealed value stood in another row too when this verify looked for copies"
		}
	}
	return ""
}

func (v *verify) release() {
	clear(v.check[:cap(v.check)])
	v.sealedPage.release()
}
