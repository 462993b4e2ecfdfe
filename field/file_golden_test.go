package field

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// To write the .err files anew after a wanted change of the messages, run the
// test with ROWSEAL_UPDATE_GOLDEN=1 and review the difference.
func TestErrorsOfPolicyFilesAreAsRecorded(t *testing.T) {
	paths, err := filepath.Glob("testdata/file/*.yaml")
	if err != nil || len(paths) < 8 {
		t.Fatalf("found %d files in testdata/file: %v", len(paths), err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(path, ".yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if _, err := ParseFile(filepath.Base(path), data); err != nil {
				checkPlaced(t, err)
				got = err.Error() + "\n"
			}
			golden := name + ".err"
			if os.Getenv("ROWSEAL_UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}
