package field

import (
	"strings"
	"testing"
)

func TestWrongKeysAreRefused(t *testing.T) {
	const (
		stores  = "; accepted: postgres, postgres://…, mysql://…, sqlite:///path"
		urls    = "is not a URL; accepted: local:///path/to/root.key, awskms:///alias/NAME?region=REGION, or another provider's scheme://…"
		ttl     = "; accepted: a duration from 1s to 1h, such as 30s or 1m30s"
		entries = "; accepted: 1 to 1000000"
		noFile  = "names no file; write sqlite:// and an absolute path, as in sqlite:///var/lib/rowseal/keys.db"
	)
	for _, tt := range []struct{ name, text, want string }{
		{"a path as KMS", "kms: /root.key", "f:1:13: keys.kms: " + urls},
		{"a scheme alone as KMS", "kms: 'local://'", "f:1:13: keys.kms: " + urls},
		{"a scheme in capitals", "kms: LOCAL:///a", "f:1:13: keys.kms: " + urls},
		{"a URL with white space", "kms: 'local:///a b'", "f:1:13: keys.kms: " + urls},
		{"an empty text in the list", "kms: [local:///a, '']", "f:1:26: keys.kms[1]: is empty; write a value or remove the key"},
		{"a number in the list", "kms: [5]", "f:1:14: keys.kms[0]: is a number, not text; write it in quotes"},
		{"a root key twice", "kms: [local:///a, local:///a]", "f:1:26: keys.kms[1]: is listed twice; keep one"},
		{"no root key", "kms: []", "f:1:13: keys.kms: lists 0 root keys; accepted: a URL, or a list of 1 to 16"},
		{"too many root keys", "kms: [" + strings.Repeat("a, ", 17) + "]", "f:1:13: keys.kms: lists 17 root keys; accepted: a URL, or a list of 1 to 16"},
		{"an unknown store", "store: oracle://u:p@h/d", "f:1:15: keys.store: is not a key store" + stores},
		{"a store with a slip", "store: postgre://u:p@h/d", `f:1:15: keys.store: is not a key store, did you mean "postgres"?` + stores},
		{"postgres:// without a host", "store: 'postgres://'", "f:1:15: keys.store: is not a key store" + stores},
		{"a connection string as store", "store: 'host=h password=p'", "f:1:15: keys.store: is not a key store: there is white space in it" + stores},
		{"a file as store", "store: file:///a", "f:1:15: keys.store: this version does not support file://… as a key store" + stores},
		{"sqlite with a relative path", "store: sqlite://a.db", "f:1:15: keys.store: " + noFile},
		{"sqlite without a path", "store: sqlite:///", "f:1:15: keys.store: " + noFile},
		{"an empty store", "store: ''", "f:1:15: keys.store: is empty; write a value or remove the key"},
		{"negative entries", "cache: {entries: -1}", "f:1:25: keys.cache.entries: is negative" + entries},
		{"no entries", "cache: {entries: 0}", "f:1:25: keys.cache.entries: is too small" + entries},
		{"too many entries", "cache: {entries: 1000001}", "f:1:25: keys.cache.entries: is too large" + entries},
		{"entries beyond 64 bits", "cache: {entries: 99999999999999999999}", "f:1:25: keys.cache.entries: is too large" + entries},
		{"entries in hexadecimal", "cache: {entries: 0x10}", "f:1:25: keys.cache.entries: is not a whole number in decimal digits" + entries},
		{"entries in octal", "cache: {entries: 010}", "f:1:25: keys.cache.entries: is not a whole number in decimal digits" + entries},
		{"entries with underscores", "cache: {entries: 1_000}", "f:1:25: keys.cache.entries: is not a whole number in decimal digits" + entries},
		{"entries with a fraction", "cache: {entries: 1.5}", "f:1:25: keys.cache.entries: is not a whole number in decimal digits" + entries},
		{"endless entries", "cache: {entries: .inf}", "f:1:25: keys.cache.entries: is not a whole number in decimal digits" + entries},
		{"entries in quotes", "cache: {entries: '5'}", "f:1:25: keys.cache.entries: is text, not a number" + entries},
		{"entries in words", "cache: {entries: many}", "f:1:25: keys.cache.entries: is text, not a number" + entries},
		{"a time without a unit", "cache: {ttl: 5}", "f:1:21: keys.cache.ttl: is a number without a unit" + ttl},
		{"a time of nothing", "cache: {ttl: 0s}", "f:1:21: keys.cache.ttl: is zero" + ttl},
		{"a negative time", "cache: {ttl: -5m}", "f:1:21: keys.cache.ttl: is negative" + ttl},
		{"a time above the most", "cache: {ttl: 1h0m0.000000001s}", "f:1:21: keys.cache.ttl: is too long" + ttl},
		{"a day", "cache: {ttl: 1d}", "f:1:21: keys.cache.ttl: is too long" + ttl},
		{"a list of times", "cache: {ttl: []}", "f:1:21: keys.cache.ttl: is a list, not text"},
		{"an unknown unit", "cache: {ttl: 5 minutes}", "f:1:21: keys.cache.ttl: is not a duration" + ttl},
		{"a boolean in other words", "intermediate: 'true'", "f:1:22: keys.intermediate: is text, not a boolean; accepted: true, false"},
		{"a suite that is no word", "suite: [hkdf]", "f:1:15: keys.suite: is a list, not a word; accepted: xaes, hkdf"},
		{"a suite in capitals", "suite: HKDF", `f:1:15: keys.suite: unknown word "HKDF", did you mean "hkdf"?; accepted: xaes, hkdf`},
	} {
		t.Run(tt.name, func(t *testing.T) { checkRefused(t, "keys: {"+tt.text+"}", tt.want) })
	}
}

func TestSearchOfAColumnWithoutEqualityIsRefused(t *testing.T) {
	checkRefused(t, "tables: {a: {columns: {b: {type: json, search: [equality]}}}}",
		"f:1:48: tables.a.columns.b.search: type json has no equality that terms could follow; remove `search` or take type jsonb")
	checkRefused(t, "tables: {a: {columns: {b: {type: 'json[]', search: [equality]}}}}",
		"f:1:52: tables.a.columns.b.search: type json[] has no equality that terms could follow; remove `search` or take type jsonb[]")
	checkRefused(t, "tables: {a: {columns: {b: {type: text, search: [equality], domain: d}, c: {type: text, search: [equality], domain: d, scope: global}}}}",
		"f:1:10: tables.a: columns a.b and a.c declare domain d with different scopes (tenant and global); give both the same `scope`")
}

func TestWrongColumnsAreRefused(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, tt := range []struct{ name, text, want string }{
		{"pad above the most", "pad: 65537", "f:1:50: tables.a.columns.b.pad: is too large; accepted: 0 to 65536"},
		{"wrap with key: tenant", "key: tenant, wrap: kms", "f:1:64: tables.a.columns.b.wrap: goes with `key: row` only; add that or remove `wrap`"},
		{"an unknown wrap", "key: row, wrap: aws", `f:1:61: tables.a.columns.b.wrap: unknown word "aws"; accepted: kms`},
		{"reuse of no values", "key: row, wrap: kms, reuse: {values: 0}", "f:1:82: tables.a.columns.b.reuse.values: is too small; accepted: 1 to 1000000"},
		{"reuse without words", "key: row, wrap: kms, reuse: {}", "f:1:73: tables.a.columns.b.reuse: is empty; accepted: values, age"},
		{
			"reuse for longer than keys are held", "key: row, wrap: kms, reuse: {values: 5, age: 61m}",
			"f:1:90: tables.a.columns.b.reuse.age: is too long; accepted: a duration from 1s to 1h, such as 30s or 1m30s",
		},
		{"search as a word", "search: equality", "f:1:53: tables.a.columns.b.search: is text, not a list; write [equality]; accepted in it: equality"},
		{"search for nothing", "search: []", "f:1:53: tables.a.columns.b.search: lists no kind of search; accepted: equality"},
		{"a number as a kind", "search: [1]", "f:1:54: tables.a.columns.b.search[0]: is a number, not text; write it in quotes"},
		{"prefixes", "search: [equality, prefix(3..8)]", `f:1:64: tables.a.columns.b.search[1]: this version does not support "prefix"; accepted: equality`},
		{"contains", "search: [contains]", `f:1:54: tables.a.columns.b.search[0]: this version does not support "contains"; accepted: equality`},
		{"ranges", "search: [range]", `f:1:54: tables.a.columns.b.search[0]: this version does not support "range"; accepted: equality`},
		{"folded equality", "search: [equality(fold)]", `f:1:54: tables.a.columns.b.search[0]: this version does not support parameters of "equality"; accepted: equality`},
		{"partitions", "search: [equality(partitions=4)]", `f:1:54: tables.a.columns.b.search[0]: this version does not support parameters of "equality"; accepted: equality`},
		{"a kind twice", "search: [equality, equality]", `f:1:64: tables.a.columns.b.search[1]: "equality" is written twice; keep one`},
		{"an unknown scope", "search: [equality], scope: all", `f:1:72: tables.a.columns.b.scope: unknown word "all"; accepted: tenant, global`},
		{"scope without search", "scope: tenant", "f:1:52: tables.a.columns.b.scope: goes with `search` only; add `search: [equality]` or remove `scope`"},
		{"domain without search", "domain: d", "f:1:53: tables.a.columns.b.domain: goes with `search` only; add `search: [equality]` or remove `domain`"},
		{"a domain that is too long", "search: [equality], domain: " + long, "f:1:73: tables.a.columns.b.domain: has 256 bytes; accepted: 1 to 255 bytes of UTF-8"},
		{
			"search with wrap", "key: row, wrap: kms, search: [equality]",
			"f:1:74: tables.a.columns.b.search: needs index keys from a key store and does not go with `wrap: kms`; remove one of them",
		},
		{"an id that is too long", "id: " + long, "f:1:49: tables.a.columns.b.id: has 256 bytes; accepted: 1 to 255 bytes of UTF-8"},
		{"an empty id", "id: ''", "f:1:49: tables.a.columns.b.id: is empty; write a value or remove the key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkRefused(t, "tables: {a: {columns: {b: {type: text,      "+tt.text+"}}}}", tt.want)
		})
	}
}

func TestWrongTablesAreRefused(t *testing.T) {
	long := strings.Repeat("x", 256)
	const columns = "columns: {b: {type: text}}"
	for _, tt := range []struct{ name, text, want string }{
		{"a table name that is too long", long + ": {" + columns + "}", "f:1:10: tables.(of 256 characters): has 256 bytes; accepted: 1 to 255 bytes of UTF-8"},
		{"a schema without table", "public.: {" + columns + "}", `f:1:10: tables."public.": has 0 bytes; accepted: 1 to 255 bytes of UTF-8`},
		{"a tenant of neither kind", "a: {tenant: {}, " + columns + "}", "f:1:22: tables.a.tenant: is empty; accepted: column, default"},
		{"a tenant that is too long", "a: {tenant: {default: " + long + "}, " + columns + "}", "f:1:32: tables.a.tenant.default: has 256 bytes; accepted: 1 to 255 bytes of UTF-8"},
		{"a tenant setting", "a: {tenant: {setting: x}, " + columns + "}", `f:1:23: tables.a.tenant.setting: unknown word "setting"; accepted: column, default`},
		{"an empty row id", "a: {rowid: {column: ''}, " + columns + "}", "f:1:30: tables.a.rowid.column: is empty; write a value or remove the key"},
		{"a column name that is too long", "a: {columns: {" + long + ": {type: text}}}", "f:1:24: tables.a.columns.(of 256 characters): has 256 bytes; accepted: 1 to 255 bytes of UTF-8"},
		{"a column without value", "a: {columns: {b: }}", "f:1:24: tables.a.columns.b: has no value; accepted: type, key, wrap, reuse, pad, id, suite, search, scope, domain, transition"},
		{"public and bare, the other way round", "public.a: {" + columns + "}, a: {" + columns + "}", `f:1:50: tables.a: is the same table as "public.a" on line 1; keep one`},
	} {
		t.Run(tt.name, func(t *testing.T) { checkRefused(t, "tables: {"+tt.text+"}", tt.want) })
	}
}

func TestAWrongTypeNamesTheAcceptedOnes(t *testing.T) {
	for text, want := range map[string][]string{
		"txet":                    {`"txet"`, "varchar(n)", `did you mean "text"?`},
		"varchr(45)":              {`"varchr(45)"`, `did you mean "varchar"?`},
		"varchar(0)":              {`"varchar(0)"`, "1 to 10485760"},
		"geometry":                {`"geometry"`, "jsonb"},
		strings.Repeat("x", 1000): {"is not a type; accepted: text, varchar"},
	} {
		_, err := ParseFile("f", []byte("tables: {a: {columns: {b: {type: '"+text+"'}}}}"))
		if err == nil {
			t.Errorf("%s was accepted", text)
			continue
		}
		for _, part := range append(want, "f:1:34: tables.a.columns.b.type: ") {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is missing in %v", text, part, err)
			}
		}
		if strings.Contains(err.Error(), "codec:") || len(err.Error()) > 900 {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What only NewTable finds is reported at the table's key.
func TestErrorsOfNewTableGetAPlace(t *testing.T) {
	r := policyReader{fileReader: &fileReader{name: "f"}}
	if r.build(yamlEntry{at: &yamlNode{line: 3, column: 5}}, TableConfig{Name: "a"}, nil) != nil {
		t.Fatal("a table without columns was built")
	}
	if got := r.err().Error(); got != "f:3:5: no sealed column is declared" {
		t.Error(got)
	}
}
