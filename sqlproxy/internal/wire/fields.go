package wire

// Field is a field of ErrorResponse or NoticeResponse.
type Field struct {
	Type  byte
	Value string
}

// Types of fields.
const (
	FieldSeverity   = 'S'
	FieldSeverityV  = 'V'
	FieldSQLState   = 'C'
	FieldMessage    = 'M'
	FieldDetail     = 'D'
	FieldHint       = 'H'
	FieldPosition   = 'P'
	FieldContext    = 'W'
	FieldSchema     = 's'
	FieldTable      = 't'
	FieldColumn     = 'c'
	FieldConstraint = 'n'
)

// ReadFields reads the body of ErrorResponse or NoticeResponse.
func ReadFields(body []byte) ([]Field, error) {
	c := Cursor{Rest: body}
	var fields []Field
	for {
		typ := c.Byte()
		if c.Bad {
			return nil, ErrMalformed
		}
		if typ == 0 {
			return fields, c.err()
		}
		fields = append(fields, Field{typ, string(c.String())})
	}
}

// Find gives a field's value, "" where it is missing.
func Find(fields []Field, typ byte) string {
	for _, f := range fields {
		if f.Type == typ {
			return f.Value
		}
	}
	return ""
}

// AppendFields appends an ErrorResponse or NoticeResponse.
func AppendFields(dst []byte, typ byte, fields []Field) []byte {
	dst, at := Begin(dst, typ)
	for _, f := range fields {
		if f.Value != "" {
			dst = AppendString(append(dst, f.Type), f.Value)
		}
	}
	return End(append(dst, 0), at)
}
