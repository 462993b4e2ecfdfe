//go:build unix

package child

import (
	"strings"
	"testing"
)

func TestAMissingAccountIsNamedWithItsRemedy(t *testing.T) {
	_, err := lookupAccount("MariaDB", "rowseal-no-such-user")
	if err == nil || !strings.Contains(err.Error(), "useradd --system") {
		t.Errorf("got %v", err)
	}
}
