package gormplugin

import (
	"fmt"
	"testing"

	"github.com/rowseal/rowseal/codec"
)

func TestPlainTypesThatStandForLogicalOnes(t *testing.T) {
	const no, read, all = 0, 1, 2 // it holds none of the type's values, is read as them, holds them all
	for _, tt := range []struct {
		database, plain, logical string
		want                     int
	}{
		{"postgres", "text", "text", all},
		{"postgres", "text", "varchar(10)", all},
		{"postgres", "character varying(10)", "varchar(10)", all},
		{"postgres", "character varying(10)", "varchar(11)", read},
		{"postgres", "character varying(10)", "text", read},
		{"postgres", "character(3)", "char(3)", all},
		{"postgres", "character(3)", "varchar(3)", read},
		{"postgres", "citext", "text", no},
		{"postgres", "integer", "text", no},
		{"postgres", "text", "int4", no},
		{"postgres", "bigint", "int4", all},
		{"postgres", "smallint", "int4", read},
		{"postgres", "double precision", "float4", all},
		{"postgres", "real", "float8", read},
		{"postgres", "numeric", "numeric(10,2)", all},
		{"postgres", "numeric(10,2)", "numeric", read},
		{"postgres", "numeric(12,2)", "numeric(10,2)", all},
		{"postgres", "numeric(12,4)", "numeric(10,2)", all},
		{"postgres", "numeric(10,3)", "numeric(10,2)", read},
		{"postgres", "numeric(10,1)", "numeric(10,2)", read},
		{"postgres", "timestamp with time zone", "timestamptz", all},
		{"postgres", "timestamp(3) with time zone", "timestamptz", read},
		{"postgres", "timestamp(3) with time zone", "timestamptz(3)", all},
		{"postgres", "timestamp without time zone", "timestamptz", no},
		{"postgres", "interval", "interval", all},
		{"postgres", "jsonb", "json", all},
		{"postgres", "text", "jsonb", no},
		{"postgres", "integer[]", "int4[]", all},
		{"postgres", "integer", "int4[]", no},
		{"postgres", "bytea", "bytea", all},
		{"postgres", "bytea", "text", no},
		{"mysql", "varchar(40)", "text", read},
		{"mysql", "longtext", "text", all},
		{"mysql", "varchar(40)", "varchar(40)", all},
		{"mysql", "enum('a','b')", "text", no},
		{"mysql", "tinyint(1)", "bool", all},
		{"mysql", "tinyint(4)", "bool", no},
		{"mysql", "tinyint(4)", "int2", no},
		{"mysql", "int(11)", "int4", all},
		{"mysql", "int(10) unsigned", "int4", read},
		{"mysql", "bigint", "int4", all},
		{"mysql", "decimal(10,2)", "numeric(10,2)", all},
		{"mysql", "decimal(10,0)", "numeric(10,2)", read},
		{"mysql", "float", "float8", read},
		{"mysql", "double", "float8", all},
		{"mysql", "datetime(6)", "timestamptz", all},
		{"mysql", "datetime", "timestamptz", read},
		{"mysql", "timestamp(6)", "timestamptz", read},
		{"mysql", "datetime(6)", "date", no},
		{"mysql", "date", "date", all},
		{"mysql", "time", "time", read},
		{"mysql", "char(36)", "uuid", all},
		{"mysql", "uuid", "uuid", all},
		{"mysql", "binary(16)", "uuid", no},
		{"mysql", "json", "jsonb", all},
		{"mysql", "longtext", "jsonb", all},
		{"mysql", "longtext", "int4[]", all},
		{"mysql", "int", "int4[]", no},
		{"mysql", "varchar(20)", "inet", read},
		{"mysql", "blob", "bytea", all},
		{"mysql", "longtext", "bytea", no},
		{"mysql", "longtext", "int8", no},
		{"mysql", "geometry", "text", no},
		{"sqlite", "text", "text", all},
		{"sqlite", "VARCHAR(3)", "text", all},
		{"sqlite", "numeric", "text", no},
		{"sqlite", "integer", "text", no},
		{"sqlite", "integer", "int8", all},
		{"sqlite", "text", "int8", no},
		{"sqlite", "real", "float8", all},
		{"sqlite", "numeric(10,2)", "numeric(10,2)", all},
		{"sqlite", "blob", "bytea", all},
		{"sqlite", "", "bytea", all},
		{"sqlite", "text", "bytea", no},
		{"sqlite", "datetime", "timestamptz", all},
		{"sqlite", "integer", "timestamptz", no},
		{"sqlite", "uuid", "uuid", all},
		{"sqlite", "boolean", "bool", all},
	} {
		logical, err := codec.ParseType(tt.logical)
		if err != nil {
			t.Fatal(err)
		}
		got, sql := no, schemaSQLOf(tt.database)
		switch reads, holds := sql.holds(tt.plain, logical, false), sql.holds(tt.plain, logical, true); {
		case reads && holds:
			got = all
		case reads:
			got = read
		case holds:
			t.Errorf("%v: it holds what it is not read as", tt)
		}
		if got != tt.want {
			t.Errorf("%s: %s for %s: %s", tt.database, tt.plain, tt.logical, fmt.Sprint(got))
		}
	}
}
