package field_test

import (
	"fmt"

	"github.com/rowseal/rowseal/field"
)

func ExampleParseFile() {
	_, err := field.ParseFile("rowseal.yaml", []byte(`tables:
  users:
    tenant: {column: org_id}
    columns:
      ssn:  {type: text, kye: row}
      name: {type: varchar(45), pad: -1}
`))
	fmt.Println(err)
	// Output:
	// rowseal.yaml:5:26: tables.users.columns.ssn.kye: unknown word "kye", did you mean "key"?; accepted: type, key, wrap, reuse, pad, id, suite, search, scope, domain
	// rowseal.yaml:6:38: tables.users.columns.name.pad: is negative; accepted: 0 to 65536
}
