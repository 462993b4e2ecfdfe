package gormplugin

import (
	"strings"

	"github.com/rowseal/rowseal/codec"
)

// Which types of plain columns stand for which logical types. What is not
// known is refused: a value could be read as another, or be compared otherwise.

func (postgresSQL) holds(have string, t codec.Type, all bool) bool {
	plain, err := codec.ParseType(have)
	return err == nil && plain.IsArray() == t.IsArray() && family(plain) == family(t) && (!all || fits(plain, t))
}

func (mysqlSQL) holds(have string, t codec.Type, all bool) bool {
	have, unsigned := strings.CutSuffix(strings.ToLower(have), " unsigned")
	word, size, _ := strings.Cut(strings.TrimSuffix(have, ")"), "(")
	plain, err := codec.ParseType(myType(word, size))
	if err != nil {
		return false
	}
	if w, asText := writtenAs(t); asText && family(plain) == "text" {
		return !all || fits(plain, w)
	}
	ranged := unsigned || word == "timestamp" // which ends in 2038
	same := family(plain) == strings.Replace(family(t), "timestamptz", "timestamp", 1)
	return same && !t.IsArray() && (!all || (!ranged && fits(plain, t)))
}

// myType returns the codec's name of a type of MySQL's or MariaDB's.
func myType(word, size string) string {
	switch word {
	case "tinyint":
		if size == "1" {
			return "bool"
		}
	case "smallint", "int", "bigint", "date", "uuid", "json":
		return word
	case "float":
		return "float4"
	case "double":
		return "float8"
	case "tinyblob", "blob", "mediumblob", "longblob", "varbinary":
		return "bytea"
	case "text", "mediumtext", "longtext":
		return "text"
	case "char", "varchar", "decimal":
		return word + "(" + size + ")"
	case "datetime", "timestamp":
		return "timestamp(" + orZero(size) + ")"
	case "time":
		return "time(" + orZero(size) + ")"
	}
	return ""
}

func orZero(size string) string {
	if size == "" {
		return "0"
	}
	return size
}

// holds goes by affinity, by which SQLite changes what it stores: it makes
// numbers of texts that look like one.
func (sqliteSQL) holds(have string, t codec.Type, _ bool) bool {
	is := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(strings.ToUpper(have), p) {
				return true
			}
		}
		return false
	}
	integer := is("INT")
	text := !integer && is("CHAR", "CLOB", "TEXT")
	blob := !integer && !text && (is("BLOB") || have == "")
	switch family(t) {
	case "text":
		return text
	case "bytea":
		return blob
	case "bool", "int", "float", "numeric":
		return !text && !blob
	}
	return !blob && !integer
}

// family is the name of what t is but for its size.
func family(t codec.Type) string {
	name, _, _ := strings.Cut(t.Elem().String(), "(")
	switch name {
	case "varchar", "char", "bpchar":
		return "text"
	case "int2", "int4", "int8":
		return "int"
	case "float4", "float8":
		return "float"
	case "json", "jsonb":
		return "json"
	}
	return name
}

// fits says whether plain, which is of the family of t, is as large.
func fits(plain, t codec.Type) bool {
	have, want := plain.Modifier(), t.Modifier()
	switch family(t) {
	case "text":
		pads := strings.Contains(plain.String(), "char(") && !strings.Contains(plain.String(), "varchar(")
		if pads && plain.Code() != t.Code() {
			return false
		}
		return have < 0 || (want >= 0 && want <= have)
	case "int", "float":
		return plain.Code() >= t.Code()
	case "numeric":
		if have < 0 || want < 0 {
			return have < 0
		}
		digits, scale := digitsOf(have)
		wantDigits, wantScale := digitsOf(want)
		return scale >= wantScale && digits-scale >= wantDigits-wantScale
	}
	const most = 6 // digits of a second
	return have < 0 || have == most || (want >= 0 && want <= have)
}

// digitsOf takes PostgreSQL's modifier of a numeric type apart.
func digitsOf(modifier int32) (digits, scale int32) {
	return (modifier - 4) >> 16 & 0xffff, ((modifier-4)&0x7ff ^ 1024) - 1024
}

// writtenAs returns a type of text for the values of t, if drivers other than
// PostgreSQL's get them as text.
func writtenAs(t codec.Type) (codec.Type, bool) {
	name := ""
	switch family(t) {
	case "text":
		return t, !t.IsArray()
	case "uuid":
		name = "char(36)"
	case "inet":
		name = "char(43)"
	case "json", "interval":
		name = "text"
	}
	if t.IsArray() {
		name = "text"
	}
	as, err := codec.ParseType(name)
	return as, err == nil
}
