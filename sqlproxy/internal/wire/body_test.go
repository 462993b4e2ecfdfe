package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// body gives what a message of pgproto3's has behind its header.
func body(t testing.TB, m interface {
	Encode(dst []byte) ([]byte, error)
},
) []byte {
	t.Helper()
	b, err := m.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b[HeaderSize:]
}

func TestMessagesAreReadAndWrittenAsOthersDo(t *testing.T) {
	parse := &pgproto3.Parse{Name: "s", Query: "SELECT $1", ParameterOIDs: []uint32{25, 0, 4000000000}}
	p, err := ReadParse(body(t, parse))
	if err != nil || !bytes.Equal(AppendParse(nil, string(p.Name), string(p.Text), p.OIDs)[HeaderSize:], body(t, parse)) {
		t.Errorf("Parse is read as %+v, %v", p, err)
	}
	bind := &pgproto3.Bind{
		DestinationPortal: "p", PreparedStatement: "s", ParameterFormatCodes: []int16{1, 0, 1},
		Parameters: [][]byte{[]byte("a"), nil, {}}, ResultFormatCodes: []int16{1},
	}
	b, err := ReadBind(body(t, bind))
	switch {
	case err != nil:
		t.Error(err)
	case string(b.Portal) != "p", string(b.Statement) != "s", len(b.Formats) != 3, len(b.Values) != 3, len(b.Results) != 1,
		string(b.Values[0]) != "a", b.Values[1] != nil, b.Values[2] == nil:
		t.Errorf("Bind is read as %+v", b)
	}
	columns := &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{
		{Name: []byte("a"), TableOID: 16400, TableAttributeNumber: 3, DataTypeOID: 17, DataTypeSize: -1, TypeModifier: -1, Format: 1},
		{Name: []byte(""), DataTypeOID: 23, DataTypeSize: 4, TypeModifier: -1},
	}}
	list, err := ReadColumns(nil, body(t, columns))
	if err != nil || !bytes.Equal(AppendColumns(nil, body(t, columns), list)[HeaderSize:], body(t, columns)) {
		t.Errorf("RowDescription is read as %+v, %v", list, err)
	}
	many := make([]uint32, 65535)
	many[65534] = 17
	params := &pgproto3.ParameterDescription{ParameterOIDs: many}
	oids, err := ReadParameters(body(t, params))
	if err != nil || !bytes.Equal(AppendParameters(nil, oids)[HeaderSize:], body(t, params)) {
		t.Errorf("ParameterDescription of %d is read as %d, %v", len(many), len(oids), err)
	}
	fields := &pgproto3.ErrorResponse{Severity: "ERROR", Code: "0A000", Message: "no", Position: 7}
	got, err := ReadFields(body(t, fields))
	if err != nil || Find(got, FieldSQLState) != "0A000" || Find(got, FieldPosition) != "7" || Find(got, FieldHint) != "" {
		t.Errorf("ErrorResponse is read as %v, %v", got, err)
	}
}

func TestFormatsFollowTheRulesOfBind(t *testing.T) {
	for _, c := range []struct {
		codes []int16
		i     int
		want  int16
	}{{nil, 3, 0}, {[]int16{1}, 3, 1}, {[]int16{0, 1}, 1, 1}, {[]int16{1, 1}, 5, 0}} {
		if got := Format(c.codes, c.i); got != c.want {
			t.Errorf("format %d of %v is %d", c.i, c.codes, got)
		}
	}
}

// FuzzBodies proves that no body makes the readers panic, and that what they
// read is what would be written.
func FuzzBodies(f *testing.F) {
	f.Add(AppendParse(nil, "s", "SELECT 1", []uint32{23})[HeaderSize:])
	f.Add([]byte("\x00\x00\x00\x01\x00\x01\x00\x02\x00\x00\x00\x01a\xff\xff\xff\xff\x00\x00"))
	f.Add([]byte("\x00\x01a\x00\x00\x00\x00\x01\x00\x02\x00\x00\x00\x11\xff\xff\xff\xff\xff\xff\x00\x00"))
	f.Add([]byte("SERROR\x00C0A000\x00\x00"))
	f.Add([]byte("\xff\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if m, err := ReadParse(body); err == nil &&
			!bytes.Equal(AppendParse(nil, string(m.Name), string(m.Text), m.OIDs)[HeaderSize:], body) {
			t.Error("Parse is written otherwise than read")
		}
		if oids, err := ReadParameters(body); err == nil && !bytes.Equal(AppendParameters(nil, oids)[HeaderSize:], body) {
			t.Error("ParameterDescription is written otherwise than read")
		}
		if columns, err := ReadColumns(nil, body); err == nil && !bytes.Equal(AppendColumns(nil, body, columns)[HeaderSize:], body) {
			t.Error("RowDescription is written otherwise than read")
		}
		if m, err := ReadBind(body); err == nil && m.ResultsAt > len(body) {
			t.Error("Bind ends behind its end")
		}
		if _, err := ReadFields(body); err != nil && !errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
	})
}
