package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The README's Go code is the example's, which has tests that run it.
func TestTheReadmeShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../examples/gorm/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var example strings.Builder
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		example.Write(b)
	}
	blocks := strings.Split(string(readme), "```go\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("no Go code in the README")
	}
	for _, b := range blocks {
		code, _, _ := strings.Cut(b, "```")
		if !strings.Contains(example.String(), code) {
			t.Errorf("not in examples/gorm:\n%s", code)
		}
	}
}
