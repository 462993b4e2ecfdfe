package catalog

import (
	"strings"

	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// Code says what functions of users, or expressions that are kept with tables, may change
// of a session that runs any statement: a trigger, a view, a default or a policy may call them, and no
// text names them. It is 0, or has parse.Settings, parse.TempCatalog, or parse.Closes where they may close cursors and open
// others, which with parse.TempCatalog they may do too.
func (s *Snapshot) Code() parse.Effects { return s.code }

const (
	changesSettings = parse.Settings | parse.SettingsAtEnd
	changesObjects  = parse.TempCatalog
	changesCursors  = parse.Closes
)

// codeOf says what a function may change, by its language and its body. C code is taken
// to change nothing.
func codeOf(language, body string) (e parse.Effects) {
	if language != "sql" && language != "plpgsql" {
		return changesSettings | changesObjects
	}
	// pg_get_functiondef gives this before a body in the SQL standard's form.
	body = strings.TrimPrefix(body, "CREATE OR REPLACE ")
	sets, setting := false, false
	parse.Mentions(body, func(word []byte) bool {
		switch string(word) {
		case "set_config", "pg_settings", "reset":
			e |= changesSettings
		case "execute", "discard", "query_to_xml", "query_to_xml_and_xmlschema", "cursor_to_xml", "cursor_to_xmlschema",
			"query_to_xmlschema", "ts_stat", "ts_rewrite":
			e |= changesSettings | changesObjects // SQL that is put together there
		case "create", "alter", "drop", "prepare", "deallocate":
			e |= changesObjects
		case "cursor", "refcursor":
			e |= changesCursors
		case "set":
			sets = true
		case "search_path", "schema", "rowseal", "role", "session", "authorization", "local", "names", "client_encoding",
			"datestyle", "timezone", "time", "intervalstyle", "bytea_output", "extra_float_digits", "standard_conforming_strings",
			"array_nulls", "transform_null_equals":
			setting = true // UPDATE has a SET too
		}
		return false
	})
	if sets && setting || strings.Contains(body, `&"`) {
		e |= changesSettings
	}
	return e
}

// loadSetters reads whether expressions kept with tables change settings.
func (l *loader) loadSetters() error {
	return l.each(querySetters, func(r row) {
		if r.yes(0) {
			l.code |= changesSettings
		}
	})
}
