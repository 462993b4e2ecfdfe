package integration

import (
	"strings"
	"testing"
)

// COPY seals for the row's id and not for its spelling: 0051 and 51 are one row.
func TestCopySealsForTheRowAndNotItsSpelling(t *testing.T) {
	r := newRig(t)
	conn := connectPG(t, r.Through)
	for format, data := range map[string]string{
		"text": "0051\tcanary-6051\n +52\tcanary-6052\n", "csv": "0053,canary-6053\n 54,canary-6054\n",
	} {
		if _, err := conn.CopyFrom(t.Context(), strings.NewReader(data), "COPY cards (id, number) FROM STDIN (FORMAT "+format+")"); err != nil {
			t.Fatal(err)
		}
	}
	got := conn.ExecParams(t.Context(), "SELECT id, number FROM cards WHERE id BETWEEN 51 AND 54 ORDER BY id", nil, nil, nil, nil).Read()
	if got.Err != nil || len(got.Rows) != 4 {
		t.Fatalf("%d rows, %v", len(got.Rows), got.Err)
	}
	for i, row := range got.Rows {
		if string(row[1]) != "canary-60"+string(row[0]) {
			t.Errorf("row %d is %q", i, row)
		}
	}
	assertNoCanary(t, "the leg to the server", r.Tap.Take())
}
