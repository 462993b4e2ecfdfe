package field

import (
	"cmp"
	"fmt"
	"slices"
)

// FileError is one thing that is wrong in a policy file.
type FileError struct {
	File string
	// Line and Column count from 1, Column in characters.
	Line, Column int
	// Path leads to the key, for example "tables.users.columns.ssn.type"; ""
	// where the YAML itself is at fault.
	Path string
	// Problem says what is wrong and what is accepted.
	Problem string
}

// Error gives "file:line:column: path: problem".
func (e *FileError) Error() string {
	path := e.Path
	if path != "" {
		path += ": "
	}
	return fmt.Sprintf("%s:%d:%d: %s%s", e.File, e.Line, e.Column, path, e.Problem)
}

// maxProblems is how many errors of a file are reported. All are collected,
// because the sections are not read in the order of the file.
const maxProblems = 10

// fail records a problem at n. Nothing that the file says is formatted into it
// except through [shown].
func (r *fileReader) fail(n *yamlNode, format string, args ...any) {
	r.problems = append(r.problems, &FileError{
		File: r.name, Line: n.line, Column: n.column, Path: n.path(), Problem: fmt.Sprintf(format, args...),
	})
}

// failAt records a problem of the YAML itself.
func (r *fileReader) failAt(line, column int, problem string) {
	r.problems = append(r.problems, &FileError{File: r.name, Line: line, Column: column, Problem: problem})
}

func sortedProblems(problems []*FileError) []*FileError {
	slices.SortStableFunc(problems, func(a, b *FileError) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return problems
}
