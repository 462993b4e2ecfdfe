package field_test

import (
	"fmt"

	"github.com/rowseal/rowseal/field"
)

func ExampleTableOf() {
	type Person struct {
		OrgID int64  `rowseal:"tenant"`
		SSN   string `rowseal:"seal"`
		Name  string `rowseal:"type=varchar(45),key=row"`
	}
	table, err := field.TableOf(Person{}, field.StructConfig{Table: "people"})
	if err != nil {
		fmt.Println(err)
		return
	}
	policy, err := field.NewPolicy(table)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(policy.YAML()))
	// Output:
	// tables:
	//   people:
	//     tenant: {column: org_id}
	//     columns:
	//       ssn: {type: text}
	//       name: {type: varchar(45), key: row}
}
