package sealing

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// rowsOf reads what CopyIn wrote, and opens what it sealed.
func (f *fixture) rowsOf(t *testing.T, c *plan.Copy, data []byte) (rows [][]string) {
	t.Helper()
	s, b := splitter{copy: c}, binaryRows{}
	lines := liner{csv: c.Format == copyCSV, quote: c.Quote, escape: c.Escape}
	for len(data) > 0 {
		var size int
		if c.Format == copyBinary {
			kind, n, err := b.next(&s, data)
			if err != nil || kind == rowNone {
				t.Fatalf("%q: CopyIn wrote no binary data: %v", data, err)
			}
			if size = n; kind != rowData {
				data = data[size:]
				continue
			}
		} else {
			found, ok, err := lines.next(data, true)
			if found.last && c.Format == copyCSV && found.row == len(data) {
				return rows
			}
			if err == nil && ok {
				err = s.split(data[:found.row])
			}
			if err != nil || !ok {
				t.Fatalf("%q: CopyIn wrote no rows: %v", data, err)
			}
			size = found.size
		}
		rows, data = append(rows, f.openFields(t, c, s.fields)), data[size:]
	}
	return rows
}

func (f *fixture) openFields(t *testing.T, c *plan.Copy, fields []copyField) (row []string) {
	t.Helper()
	for i, x := range fields {
		possible := c.Columns[i].Possible
		switch {
		case x.null:
			row = append(row, "NULL")
			continue
		case len(possible) == 0 || string(x.raw) == c.Default && c.Default != "":
			row = append(row, string(x.raw))
			continue
		}
		sealed := x.text
		if c.Format != copyBinary {
			var err error
			if sealed, err = hex.DecodeString(strings.TrimPrefix(string(x.text), `\x`)); err != nil {
				t.Fatalf("%q is no bytea", x.text)
			}
		}
		plain, err := f.Cipher.OpenBytes(t.Context(), nil, possible[0], field.Row{Tenant: string(fields[0].text)}, sealed)
		if err != nil {
			t.Fatalf("%q was not sealed: %v", x.text, err)
		}
		row = append(row, "opened "+string(plain))
	}
	return row
}

func (f *fixture) fuzzLayout(kind byte) *plan.Copy {
	c := f.layout([]string{"text", "csv", "binary", "csv", "text"}[kind%5])
	switch kind % 5 {
	case 3:
		c.Delimiter, c.Quote, c.Escape, c.Null = ';', '\'', '\\', "nil"
	case 4:
		c.Delimiter, c.Default = '|', "def"
	}
	return c
}

// FuzzCopyInBoundaries cuts data anywhere: the rows, or the refusal, are the same.
func FuzzCopyInBoundaries(f *testing.F) {
	row := "acme\t1\t2020-01-01\tAda\t7\tn\n"
	for kind, seeds := range [][]string{
		{row, row + `\.` + "\n", "acme\ta\\\nb\t\\N\t\\\\\t\\N\t\n", "acme\t1\t\\N\tx\t\\N\tn\r\n\\.\r\n", "acme\\", `\.x`},
		{"acme,\"a\r\nb\",2020-01-01,,7,n\r\n", "acme,\"a\"\"b\",,\"\",,n\n\\.\n", "acme,1,,,,\\.", "\\.\nx"},
		{copySignature + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x06\x00\x00\x00\x04acme\x00\x00\x00\x01a\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x04\x00\x00\x00\x07\x00\x00\x00\x00" + "\xff\xff"},
		{"acme;'a\\'b';nil;'nil';7;n\n"},
		{"acme|def|def|\\101|7|n\n"},
	} {
		for _, seed := range seeds {
			for cut := range 6 {
				f.Add([]byte(seed), byte(kind), uint16(cut*3), uint16(cut*5))
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, kind byte, first, second uint16) {
		x := newFixture(t)
		c := x.fuzzLayout(kind)
		whole, err := through(t.Context(), x.NewCopyIn(c), data, nil)
		n := uint16(len(data)%65536 + 1)
		parts, err2 := through(t.Context(), x.NewCopyIn(c), data, []int{int(min(first%n, second%n)), int(max(first%n, second%n))})
		if (err == nil) != (err2 == nil) {
			t.Fatalf("whole: %v; in parts: %v", err, err2)
		}
		if err != nil {
			var r, r2 *plan.Refusal
			if !errors.As(err, &r) || !errors.As(err2, &r2) || r.SQLState != r2.SQLState || r.Detail != r2.Detail {
				t.Fatalf("whole: %v; in parts: %v", err, err2)
			}
			return
		}
		rows, rows2 := x.rowsOf(t, c, whole), x.rowsOf(t, c, parts)
		if !reflect.DeepEqual(rows, rows2) {
			t.Fatalf("whole: %q; in parts: %q", rows, rows2)
		}
	})
}

func BenchmarkCopyIn(b *testing.B) {
	f := newFixture(b)
	data := []byte(strings.Repeat("acme\t078-05-1120\t2020-01-01\tAda\t7\tn\n", 1000))
	c := f.layout("text")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	var out []byte
	for b.Loop() {
		in := f.NewCopyIn(c)
		var err error
		if out, err = in.Write(b.Context(), out[:0], data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCopyOut(b *testing.B) {
	f := newFixture(b)
	c := f.layout("text")
	row, err := through(b.Context(), f.NewCopyIn(c), []byte("acme\t078-05-1120\t2020-01-01\tAda\t7\tn\n"), nil)
	if err != nil {
		b.Fatal(err)
	}
	out, room := f.NewCopyOut(c), []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		if room, err = out.Row(b.Context(), room[:0], row); err != nil {
			b.Fatal(err)
		}
	}
}
