package sealing

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// identity gives a tenant or row id, of a column of type as, in the Go type that
// field takes: int64 for integers, string for anything else, nil for NULL. as 0
// means the value's own type.
func identity(v Value, as uint32) (any, error) {
	if v.Data == nil {
		return nil, nil
	}
	if v.OID == 0 && v.Format == binaryFormat {
		v.OID = binaryType(v.Data, as)
	}
	text, err := identityText(v)
	if err != nil {
		return nil, err
	}
	if as == 0 {
		as = v.OID
	}
	switch as {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return nil, &plan.Refusal{SQLState: stateBadValue, Message: "invalid input for an integer tenant or row id", Position: -1}
		}
		return n, nil
	case pgtype.UUIDOID:
		return uuidText(text)
	}
	return text, nil
}

// fitting is identity for a column with a length; see catalog.Column. A text of another length is not what the row then has: the server pads it, or
// cuts blanks off.
func fitting(v Value, as uint32, chars int) (any, error) {
	id, err := identity(v, as)
	text, ok := id.(string)
	if err != nil || !ok || chars == 0 {
		return id, err
	}
	n := utf8.RuneCountInString(text)
	switch {
	case chars > 0 && n <= chars, chars < 0 && n == -chars && !strings.HasSuffix(text, " "):
		return id, nil
	case chars > 0 && strings.HasSuffix(text, " "):
		return nil, wrongLength("a tenant or row id ends with blanks that its column has no room for", "Leave them out.")
	case chars > 0:
		return nil, wrongLength("a tenant or row id is longer than its column", "Use what the column can hold.")
	}
	return nil, wrongLength("a tenant or row id is shorter than its column of type char(n), which the server fills up with blanks", "Make the column varchar or text.")
}

func wrongLength(message, hint string) error {
	return &plan.Refusal{SQLState: stateNotSupported, Position: -1, Message: message, Hint: hint}
}

// binaryType is the type of a value in binary form which the client left open, so that
// the server took it for one that is compared with, or written to, a column of type as.
func binaryType(data []byte, as uint32) uint32 {
	switch as {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		return map[int]uint32{2: pgtype.Int2OID, 4: pgtype.Int4OID, 8: pgtype.Int8OID}[len(data)]
	case pgtype.UUIDOID:
		return as
	}
	return 0
}

// identityText gives the text form of what identifies a tenant or row.
func identityText(v Value) (string, error) {
	if v.Format == textFormat {
		return string(v.Data), nil
	}
	switch {
	case v.OID == pgtype.Int2OID && len(v.Data) == 2:
		return strconv.Itoa(int(int16(binary.BigEndian.Uint16(v.Data)))), nil
	case v.OID == pgtype.Int4OID && len(v.Data) == 4:
		return strconv.Itoa(int(int32(binary.BigEndian.Uint32(v.Data)))), nil
	case v.OID == pgtype.Int8OID && len(v.Data) == 8:
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(v.Data)), 10), nil
	case v.OID == pgtype.UUIDOID && len(v.Data) == 16:
		return field.TenantOf(v.Data)
	case isText(v.OID):
		return string(v.Data), nil
	}
	return "", &plan.Refusal{
		SQLState: stateNotSupported, Position: -1,
		Message: "a tenant or row id of this type is not read in binary form",
		Hint:    "Use an integer, text or uuid.",
	}
}

// isText: in these types the binary form is the text.
func isText(oid uint32) bool {
	switch oid {
	case 0, pgtype.TextOID, pgtype.UnknownOID, pgtype.BPCharOID, pgtype.VarcharOID, pgtype.NameOID:
		return true
	}
	return false
}

// uuidText gives the usual form of a UUID that may be written otherwise.
func uuidText(s string) (any, error) {
	digits := make([]byte, 0, 32)
	for _, c := range []byte(strings.ToLower(strings.TrimSpace(s))) {
		if !bytes.ContainsRune([]byte("{}-"), rune(c)) {
			digits = append(digits, c)
		}
	}
	if len(digits) != 32 {
		return nil, &plan.Refusal{SQLState: stateBadValue, Message: "invalid input for a uuid tenant or row id", Position: -1}
	}
	d := string(digits)
	return d[:8] + "-" + d[8:12] + "-" + d[12:16] + "-" + d[16:20] + "-" + d[20:], nil
}
