package field

import (
	"testing"

	"gorm.io/gorm/schema"
	"pgregory.net/rapid"
)

func TestFieldsGetTheColumnsThatGORMGivesThem(t *testing.T) {
	for name, want := range map[string]string{
		"ID": "id", "OrgID": "org_id", "SSN": "ssn", "FirstName": "first_name", "HTTPServer": "http_server", "A": "a", "X1": "x1",
		"UserIDs": "user_ids", "UTF8Name": "utf8_name", "Snake_Case": "snake_case", "MyURL2": "my_url2", "ABCd": "ab_cd",
	} {
		if got := snakeCase(name); got != want {
			t.Errorf("snakeCase(%s) = %s, want %s", name, got, want)
		}
	}
	strategy := schema.NamingStrategy{}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom(initialisms), rapid.StringMatching(`[A-Za-z][a-z0-9_]{0,4}`), rapid.StringMatching(`[A-Z_0-9]{1,3}`),
		), 0, 4).Draw(t, "parts")
		name := rapid.StringMatching(`[A-Z]`).Draw(t, "first")
		for _, p := range parts {
			name += p
		}
		if got, want := snakeCase(name), strategy.ColumnName("", name); got != want {
			t.Fatalf("snakeCase(%s) = %s, GORM has %s", name, got, want)
		}
	})
}

// GORM cuts a last letter outside ASCII in two; ours stays whole.
func TestAFieldNameOutsideASCIIStaysWhole(t *testing.T) {
	for name, want := range map[string]string{"Größe": "größe", "NomPrénomÉ": "nom_prénomÉ", "ÉtatCivil": "État_civil"} {
		if got := snakeCase(name); got != want {
			t.Errorf("snakeCase(%s) = %s, want %s", name, got, want)
		}
	}
}
