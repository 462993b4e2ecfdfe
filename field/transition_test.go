package field

import (
	"strings"
	"testing"
)

func TestATransitionIsReadFromTagsAndFiles(t *testing.T) {
	for tag, want := range map[string]Transition{
		"transition=email_clear":              {Plain: "email_clear"},
		"transition=email_clear/sealed":       {Plain: "email_clear"},
		"seal, transition = email_clear/both": {Plain: "email_clear", Both: true},
	} {
		got, err := ParseTag(tag)
		if err != nil || !got.Seal || got.Column.Transition != want {
			t.Errorf("%s: %+v %v", tag, got, err)
		}
	}
	for text, want := range map[string]Transition{
		"{plain: email_clear}":                {Plain: "email_clear"},
		"{plain: email_clear, write: sealed}": {Plain: "email_clear"},
		"{plain: email_clear, write: both}":   {Plain: "email_clear", Both: true},
	} {
		f, err := ParseFile("f", []byte("tables: {a: {columns: {email: {type: text, transition: "+text+"}}}}"))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.Policy.Table("a").Column("email").Transition(); got != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestWrongTransitionsAreRefused(t *testing.T) {
	const before = "a: {tenant: {column: org}, rowid: {column: pid}, columns: {b: {type: text, transition: "
	for _, tt := range []struct{ name, text, want string }{
		{"text", "x}", "is text, not a mapping"},
		{"nothing in it", "{write: both}}", "has no `plain`"},
		{"an unknown word", "{plainn: x}}", `did you mean "plain"?`},
		{"an unknown way to write", "{plain: x, write: plain}}", "accepted: sealed, both"},
		{"the column itself", "{plain: B}}", "names the sealed column b"},
		{"another sealed column", "{plain: c}}, c: {type: text}", "names the sealed column c"},
		{"the tenant", "{plain: org}}", "names the tenant or row id"},
		{"the row id", "{plain: Pid}}", "names the tenant or row id"},
		{"a plain column twice", "{plain: x}}, c: {type: text, transition: {plain: X}}", "names the plain column of b too"},
		{"a long name", "{plain: " + strings.Repeat("x", 256) + "}}", "1 to 255 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseFile("f", []byte("tables: {"+before+tt.text+"}}}"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	_, err := NewTable(TableConfig{Name: "a", Columns: []ColumnConfig{{Name: "b", Type: mustType(t, "text"), Transition: Transition{Both: true}}}})
	if err == nil {
		t.Error("a transition without plain column was accepted")
	}
}

func TestStructsDoNotCarryTransitions(t *testing.T) {
	type user struct {
		Email string `db:"email" rowseal:"transition=email_clear"`
	}
	table, err := TableOf(user{}, StructConfig{Table: "users", Default: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = new(Cipher).SealStruct(t.Context(), table, user{}); err == nil || !strings.Contains(err.Error(), "takes over from email_clear") {
		t.Error(err)
	}
}
