package main

import "testing"

// TestShellWord: names that a shell would take apart are quoted in commands that are to be copied.
func TestShellWord(t *testing.T) {
	for name, want := range map[string]string{
		"people": "people", "app.people": "app.people", "My Schema.T": "'My Schema.T'", `it's "T"; x`: `'it'\''s "T"; x'`, "": "''", "$HOME": "'$HOME'",
	} {
		if got := shellWord(name); got != want {
			t.Errorf("%q is written %s, want %s", name, got, want)
		}
	}
}
