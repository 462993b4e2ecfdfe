package integration

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
)

// kinds has a column of each logical type, and of arrays.
type kinds struct {
	ID          int             `gorm:"primaryKey;autoIncrement:false"`
	Org         string          `rowseal:"tenant"`
	Text        string          `gorm:"column:c_text;serializer:rowseal;type:bytes" rowseal:"search=equality"`
	Varchar     string          `gorm:"column:c_varchar;serializer:rowseal;type:bytes" rowseal:"type=varchar(20),search=equality"`
	Char        string          `gorm:"column:c_char;serializer:rowseal;type:bytes" rowseal:"type=char(8),search=equality"`
	Bytea       []byte          `gorm:"column:c_bytea;serializer:rowseal;type:bytes" rowseal:"search=equality"`
	Bool        bool            `gorm:"column:c_bool;serializer:rowseal;type:bytes" rowseal:"search=equality"`
	Int2        int16           `gorm:"column:c_int2;serializer:rowseal;type:bytes" rowseal:"search=equality"`
	Int4        int32           `gorm:"column:c_int4;serializer:rowseal;type:bytes" rowseal:"search=equality"`
	Int8        int64           `gorm:"column:c_int8;serializer:rowseal;type:bytes" rowseal:"search=equality"`
	Float4      float32         `gorm:"column:c_float4;serializer:rowseal;type:bytes" rowseal:"search=equality"`
	Float8      float64         `gorm:"column:c_float8;serializer:rowseal;type:bytes" rowseal:"search=equality"`
	Numeric     string          `gorm:"column:c_numeric;serializer:rowseal;type:bytes" rowseal:"type=numeric(10,2),search=equality"`
	Date        time.Time       `gorm:"column:c_date;serializer:rowseal;type:bytes" rowseal:"type=date,search=equality"`
	Time        string          `gorm:"column:c_time;serializer:rowseal;type:bytes" rowseal:"type=time,search=equality"`
	Timestamp   time.Time       `gorm:"column:c_timestamp;serializer:rowseal;type:bytes" rowseal:"type=timestamp,search=equality"`
	Timestamptz time.Time       `gorm:"column:c_timestamptz;serializer:rowseal;type:bytes" rowseal:"search=equality"`
	Interval    string          `gorm:"column:c_interval;serializer:rowseal;type:bytes" rowseal:"type=interval,search=equality"`
	UUID        string          `gorm:"column:c_uuid;serializer:rowseal;type:bytes" rowseal:"type=uuid,search=equality"`
	JSON        json.RawMessage `gorm:"column:c_json;serializer:rowseal;type:bytes" rowseal:"type=json"`
	JSONB       json.RawMessage `gorm:"column:c_jsonb;serializer:rowseal;type:bytes" rowseal:"type=jsonb,search=equality"`
	Inet        netip.Prefix    `gorm:"column:c_inet;serializer:rowseal;type:bytes" rowseal:"type=inet,search=equality"`
	Texts       []string        `gorm:"column:c_texts;serializer:rowseal;type:bytes" rowseal:"type=text[]"`
	Ints        []int32         `gorm:"column:c_ints;serializer:rowseal;type:bytes" rowseal:"type=int4[]"`
	Dates       []time.Time     `gorm:"column:c_dates;serializer:rowseal;type:bytes" rowseal:"type=date[]"`
	RowKey      string          `gorm:"column:c_rowkey;serializer:rowseal;type:bytes" rowseal:"key=row"`
	Global      string          `gorm:"column:c_global;serializer:rowseal;type:bytes" rowseal:"search=equality,scope=global,domain=global"`
	Padded      *string         `gorm:"column:c_padded;serializer:rowseal;type:bytes" rowseal:"type=text,pad=64"`
}

func (kinds) TableName() string { return "kinds" }

// kindValues are a value of each, as it is written in SQL and as a server prints it.
var kindValues = []struct{ column, typ, more, value string }{
	{"c_text", "text", "search: [equality]", "canary-it's ü"},
	{"c_varchar", "varchar(20)", "search: [equality]", "canary-varchar"},
	{"c_char", "char(8)", "search: [equality]", "canary"},
	{"c_bytea", "bytea", "search: [equality]", `\x00ff10`},
	{"c_bool", "bool", "search: [equality]", "t"},
	{"c_int2", "int2", "search: [equality]", "-32768"},
	{"c_int4", "int4", "search: [equality]", "42424242"},
	{"c_int8", "int8", "search: [equality]", "-9223372036854775808"},
	{"c_float4", "float4", "search: [equality]", "1.5"},
	{"c_float8", "float8", "search: [equality]", "-0.1"},
	{"c_numeric", "numeric(10,2)", "search: [equality]", "13579.20"},
	{"c_date", "date", "search: [equality]", "1987-06-05"},
	{"c_time", "time", "search: [equality]", "23:59:59.123456"},
	{"c_timestamp", "timestamp", "search: [equality]", "1987-06-05 04:03:02.1"},
	{"c_timestamptz", "timestamptz", "search: [equality]", "1987-06-05 04:03:02.123456+00"},
	{"c_interval", "interval", "search: [equality]", "1 year 2 mons 3 days 04:05:06"},
	{"c_uuid", "uuid", "search: [equality]", "b3a0e2c4-7f2d-4c54-9c4e-0d6a3c1f7a11"},
	{"c_json", "json", "", `{"canary":  [1, 2]}`},
	{"c_jsonb", "jsonb", "search: [equality]", `{"a": [1, 2], "canary": null}`},
	{"c_inet", "inet", "search: [equality]", "10.1.0.0/16"},
	{"c_texts", "text[]", "", `{canary,"b c",""}`},
	{"c_ints", "int4[]", "", "{1,-2,3}"},
	{"c_dates", "date[]", "", "{1987-06-05,2000-01-01}"},
	{"c_rowkey", "text", "key: row", "canary-row"},
	{"c_global", "text", "search: [equality], scope: global, domain: global", "canary-global"},
	{"c_padded", "text", "pad: 64", "canary-padded"},
}

// kindsRig is the rig's database with the table kinds, made by GORM with the plugin, which writes and reads
// directly; and a proxy with a policy file for the same table and keys.
func kindsRig(t *testing.T) (db *gorm.DB, through, twin *pgconn.PgConn) {
	t.Helper()
	r := newRig(t)
	policy := "tables:\n  kinds:\n    tenant: {column: org}\n    columns:\n"
	columns := ""
	for _, k := range kindValues {
		policy += fmt.Sprintf("      %s: {type: %q, %s}\n", k.column, k.typ, k.more)
		columns += ", " + k.column + " " + k.typ
	}
	file, err := field.ParseFile("rowseal.yaml", []byte(strings.ReplaceAll(policy, ", }", "}")))
	if err != nil {
		t.Fatal(err)
	}
	db = openGORM(t, r, &kinds{})
	r.exec(t, r.Twin, "CREATE TABLE kinds (id int PRIMARY KEY, org text"+columns+")")
	config := r.config(hostOf(t, r.Direct))
	config.Policy = file.Policy
	return db, connectPG(t, withHost(t, r.Direct, startProxy(t, config))), connectPG(t, r.Twin)
}

// insertKinds gives a statement that writes a row with all of kindValues.
func insertKinds(id int, org string) string {
	columns, values := "id, org", fmt.Sprintf("%d, '%s'", id, org)
	for _, k := range kindValues {
		columns += ", " + k.column
		values += ", '" + strings.ReplaceAll(k.value, "'", "''") + "'"
	}
	return "INSERT INTO kinds (" + columns + ") VALUES (" + values + ")"
}

func TestGORMAndTheProxyReadWhatTheOtherWrote(t *testing.T) {
	db, through, twin := kindsRig(t)
	for id, org := range map[int]string{1: "acme", 3: "zeta"} {
		for _, conn := range []*pgconn.PgConn{through, twin} {
			if _, err := conn.Exec(t.Context(), insertKinds(id, org)).ReadAll(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var rows []kinds
	if err := db.Order("id").Find(&rows).Error; err != nil || len(rows) != 2 {
		t.Fatalf("GORM reads %d rows that the proxy wrote: %v", len(rows), err)
	}
	for _, row := range rows { // written again by GORM, as rows 2 and 4
		row.ID++
		if err := db.Create(&row).Error; err != nil {
			t.Fatal(err)
		}
	}
	for _, form := range []int16{0, 1} {
		want := allKinds(t, twin, form)
		got := allKinds(t, through, form)
		if len(want) != 2 || len(got) != 4 {
			t.Fatalf("the proxy reads %d rows, the twin has %d", len(got), len(want))
		}
		for i, row := range got {
			for j, k := range kindValues {
				if string(row[j+2]) != string(want[i/2][j+2]) {
					t.Errorf("row %d, %s: got %q, want %q", i+1, k.column, row[j+2], want[i/2][j+2])
				}
			}
		}
	}
	for _, k := range kindValues {
		if strings.Contains(k.more, "equality") {
			t.Run(k.column, func(t *testing.T) { findsBoth(t, db, through, k.column, k.value) })
		}
	}
}

func allKinds(t *testing.T, conn *pgconn.PgConn, form int16) [][][]byte {
	t.Helper()
	r := conn.ExecParams(t.Context(), "SELECT * FROM kinds ORDER BY id", nil, nil, nil, []int16{form}).Read()
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r.Rows
}

// findsBoth looks for a value through the proxy and with GORM, in each tenant: each finds what either wrote.
func findsBoth(t *testing.T, db *gorm.DB, through *pgconn.PgConn, column, value string) {
	var one kinds
	if err := db.First(&one, 1).Error; err != nil {
		t.Fatal(err)
	}
	for org, want := range map[string]string{"acme": "[1 2]", "zeta": "[3 4]", "other": "[]"} {
		r := through.ExecParams(t.Context(), "SELECT id FROM kinds WHERE org = $1 AND "+column+" = $2 ORDER BY id",
			[][]byte{[]byte(org), []byte(value)}, nil, nil, nil).Read()
		var ids []string
		for _, row := range r.Rows {
			ids = append(ids, string(row[0]))
		}
		if r.Err != nil || fmt.Sprint(ids) != want {
			t.Errorf("in %s the proxy finds %v, %v", org, ids, r.Err)
		}
		var found []int
		err := db.Model(&kinds{}).Where("org = ? AND "+column+" = ?", org, fieldOf(one, column)).Order("id").Pluck("id", &found).Error
		if err != nil || fmt.Sprint(found) != want {
			t.Errorf("in %s GORM finds %v, %v", org, found, err)
		}
	}
}

func fieldOf(row kinds, column string) any {
	v := reflect.ValueOf(row)
	for i := range v.NumField() {
		if strings.Contains(v.Type().Field(i).Tag.Get("gorm"), "column:"+column+";") {
			return v.Field(i).Interface()
		}
	}
	panic(column)
}

// bound has values that open in their own row only, one under a key of its own that the KMS wraps.
type bound struct {
	ID     int    `gorm:"primaryKey;autoIncrement:false" rowseal:"rowid"`
	Number string `gorm:"serializer:rowseal;type:bytes;uniqueIndex:bound_number" rowseal:"search=equality"`
	Note   string `gorm:"serializer:rowseal;type:bytes" rowseal:"key=row,wrap=kms"`
}

func (bound) TableName() string { return "bound" }

const boundPolicy = `
tenant: {default: acme}
tables:
  bound:
    rowid: {column: id}
    columns:
      number: {type: text, search: [equality]}
      note:   {type: text, key: row, wrap: kms}
`

func TestGORMAndTheProxyShareRowBoundValues(t *testing.T) {
	r := newRig(t)
	file, err := field.ParseFile("rowseal.yaml", []byte(boundPolicy))
	if err != nil {
		t.Fatal(err)
	}
	db := openGORM(t, r, &bound{})
	db = db.WithContext(gormplugin.WithTenant(t.Context(), "acme"))
	config := r.config(hostOf(t, r.Direct))
	config.Policy = file.Policy
	through := withHost(t, r.Direct, startProxy(t, config))
	if err := db.Create(&bound{ID: 1, Number: "canary-1", Note: "canary-note-1"}).Error; err != nil {
		t.Fatal(err)
	}
	r.exec(t, through, "INSERT INTO bound VALUES (2, 'canary-2', 'canary-note-2')")
	r.exec(t, through, "UPDATE bound SET note = 'canary-by-proxy' WHERE number = 'canary-1' AND id = 1")
	if err := db.Model(&bound{ID: 2}).Update("note", "canary-by-gorm").Error; err != nil {
		t.Fatal(err)
	}
	want := []bound{{1, "canary-1", "canary-by-proxy"}, {2, "canary-2", "canary-by-gorm"}}
	var rows []bound
	if err := db.Where("number IN ?", []string{"canary-1", "canary-2"}).Order("id").Find(&rows).Error; err != nil || !reflect.DeepEqual(rows, want) {
		t.Errorf("GORM reads %v, %v", rows, err)
	}
	conn := connectPG(t, through)
	for _, row := range want {
		got := conn.ExecParams(t.Context(), "SELECT note FROM bound WHERE number = $1", [][]byte{[]byte(row.Number)}, nil, nil, nil).Read()
		if got.Err != nil || len(got.Rows) != 1 || string(got.Rows[0][0]) != row.Note {
			t.Errorf("the proxy reads %q, %v", got.Rows, got.Err)
		}
	}
	if _, err := conn.Exec(t.Context(), "INSERT INTO bound VALUES (3, 'canary-1', 'x')").ReadAll(); err == nil || !strings.Contains(err.Error(), "bound_number") {
		t.Errorf("the index that GORM made lets the proxy write a number twice: %v", err)
	}
	if err := db.Create(&bound{ID: 3, Number: "canary-2", Note: "x"}).Error; err == nil {
		t.Error("GORM writes a number twice")
	}
}

// openGORM opens the sealed database with the plugin, directly, and makes the model's table.
func openGORM(t *testing.T, r *rig, model any) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(postgres.Open(r.Direct), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if conn, err := db.DB(); err == nil {
			_ = conn.Close()
		}
	})
	plugin := gormplugin.New(r.Cipher)
	plugin.Models = []any{model}
	if err := db.Use(plugin); err != nil {
		t.Fatal(err)
	}
	if err := db.AutoMigrate(model); err != nil {
		t.Fatal(err)
	}
	return db
}
