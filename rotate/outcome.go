package rotate

// verdict is what a kind of job decided of a row.
type verdict struct {
	change
	// writes says that the change is to be written.
	writes bool
	// counts are added to the job's once the row is settled, by name: "values", "rewrapped", "key/ID" ….
	counts []count
	// findings are what is wrong with the row's values, which stay as they are.
	findings []Finding
}

// count adds n to what is counted under name.
type count struct {
	name string
	n    int64
}
