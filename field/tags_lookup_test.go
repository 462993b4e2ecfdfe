package field

import (
	"reflect"
	"testing"
)

func TestAWellFormedTagIsFoundAsReflectFindsIt(t *testing.T) {
	for _, tag := range []reflect.StructTag{
		``, `json:"a"`, `rowseal:"seal"`, `json:"a,omitempty" rowseal:"type=text,key=row"`, `rowseal:"seal" gorm:"comment:rowseal"`,
		`rowseal:""`, `gorm:"default:\"x\"" rowseal:"id=\"q\""`, `  rowseal:"seal"  `, `json:"a"rowseal:"seal"`, `no tag at all`,
		`rowsealed:"x"`, `json:"a" broken`,
	} {
		want, wantOK := tag.Lookup("rowseal")
		if got, ok, err := LookupTag(tag); err != nil || got != want || ok != wantOK {
			t.Errorf("%s: %q %t %v, want %q %t", tag, got, ok, err, want, wantOK)
		}
	}
}

func TestATagThatGoWouldPassOverIsRefused(t *testing.T) {
	const malformed = "the struct tag is malformed; write `rowseal:\"…\"`, without a space after the colon, with one between tags"
	for tag, want := range map[reflect.StructTag]string{
		`rowseal: "seal"`:                   malformed,
		`rowseal:seal`:                      malformed,
		`rowseal`:                           malformed,
		`rowseal:"seal`:                     malformed,
		`rowseal:"seal\`:                    malformed,
		`:"x" rowseal:"seal"`:               malformed,
		`json: "a" rowseal:"seal"`:          malformed,
		"json:\"a\"\trowseal:\"seal\"":      malformed,
		`json:"a", rowseal:"seal"`:          malformed,
		`Rowseal:"seal"`:                    `the struct tag's key is "Rowseal"; write "rowseal"`,
		`json:"a" rowSeal:"seal"`:           `the struct tag's key is "rowSeal"; write "rowseal"`,
		`rowseal:"seal" rowseal:"key=row"`:  "the struct tag has two rowseal keys; join them with a comma",
		"rowseal:\"seal\n\"":                "the text of the rowseal tag is not a Go string",
		`rowseal:"\q"`:                      "the text of the rowseal tag is not a Go string",
		`rowseal:"seal" rowseal: "key=row"`: malformed,
	} {
		if got, ok, err := LookupTag(tag); err == nil || err.Error() != want {
			t.Errorf("%q: %q %t %v, want %s", tag, got, ok, err, want)
		}
	}
}
