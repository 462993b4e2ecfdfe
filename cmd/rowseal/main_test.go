package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestAnInterruptedCommandSaysSoAndExitsWith130(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/rowseal.yaml", "keys: {kms: local://"+dir+"/root.key, store: \"sqlite://"+dir+"/keys.db\"}\ntables: {people: {columns: {name: {type: text}}}}\n")
	for _, args := range [][]string{{"keys", "create", dir + "/root.key"}, {"init", "-c", dir + "/rowseal.yaml"}} {
		if code, _, errs := runWith(t.Context(), args...); code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, errs)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, _, errs := runWith(ctx, "rotate", "rewrap", "-c", dir+"/rowseal.yaml")
	if code != exitInterrupted || !strings.HasPrefix(errs, "rowseal: ") || strings.Count(errs, "\n") != 1 {
		t.Fatalf("exit code %d, standard error %q", code, errs)
	}
}

func runWith(ctx context.Context, args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(ctx, args, streams{in: strings.NewReader(""), out: &o, err: &e})
	return code, o.String(), e.String()
}

func TestEveryCommandHasHelpOfAtMost80Columns(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"keys"},
		{"rotate"},
		{"demo", "--help"},
		{"init", "--help"},
		{"inspect", "--help"},
		{"version", "--help"},
		{"keys", "create", "--help"},
		{"keys", "list", "--help"},
		{"keys", "rotate", "--help"},
		{"rotate", "rewrap", "--help"},
	} {
		code, out, errs := runWith(t.Context(), args...)
		if code != 0 || errs != "" || !strings.Contains(out, "Usage:") {
			t.Errorf("%v: exit code %d, error %q", args, code, errs)
		}
		for line := range strings.Lines(out) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 && !strings.Contains(line, "--") {
				t.Errorf("%v: a line has %d columns: %s", args, n, line)
			}
		}
	}
}
