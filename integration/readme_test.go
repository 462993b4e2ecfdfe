package integration

import (
	"os"
	"strings"
	"testing"
)

// The README's Go code is the example's, which has a test that runs it.
func TestTheReadmeShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("../examples/gorm/main.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(readme), "```go\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("no Go code in the README")
	}
	for _, b := range blocks {
		code, _, _ := strings.Cut(b, "```")
		if !strings.Contains(string(example), code) {
			t.Errorf("not in examples/gorm/main.go:\n%s", code)
		}
	}
}
