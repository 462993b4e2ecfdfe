package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTheExampleReadsWhatItWroteAndTheFilesHoldNothingReadable(t *testing.T) {
	dir := t.TempDir()
	want := regexp.MustCompile(`^the application reads: Ann Example, 900-12-3456
the database has: F5[0-9A-F]{14}…
$`)
	for range 2 { // the second run finds the first one's files
		var out bytes.Buffer
		if err := run(t.Context(), dir, &out); err != nil {
			t.Fatal(err)
		}
		if !want.MatchString(out.String()) {
			t.Fatalf("got %q", out.String())
		}
	}
	files, err := filepath.Glob(dir + "/*")
	if err != nil || len(files) < 3 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, plain := range []string{"Ann Example", "900-12-3456"} {
			if bytes.Contains(b, []byte(plain)) {
				t.Errorf("%s holds %q", file, plain)
			}
		}
	}
}

func TestTheExampleStaysUnder60Lines(t *testing.T) {
	b, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n >= 60 {
		t.Fatalf("main.go has %d lines", n)
	}
}
