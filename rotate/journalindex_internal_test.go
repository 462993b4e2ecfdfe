package rotate

import (
	"strings"
	"testing"
)

// TestFindingsAreFoundByTheirJob in the journals of all databases.
func TestFindingsAreFoundByTheirJob(t *testing.T) {
	for _, d := range []journalDialect{postgresJournal(), sqliteJournal(), mysqlJournal()} {
		all := strings.Join(d.schema, "\n")
		if !strings.Contains(all, "KEY job_findings_job (job)") && !strings.Contains(all, "job_findings (job)") {
			t.Errorf("no index: %s", all)
		}
	}
}
