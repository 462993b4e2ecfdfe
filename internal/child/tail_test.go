package child

import (
	"strings"
	"testing"
)

func TestTailKeepsTheEndUntilTold(t *testing.T) {
	tail := NewTail(nil)
	for range 3 {
		if _, err := tail.Write([]byte(strings.Repeat("x", tailBytes))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tail.Write([]byte("the end")); err != nil {
		t.Fatal(err)
	}
	if got := tail.String(); len(got) != tailBytes || !strings.HasSuffix(got, "the end") {
		t.Errorf("%d bytes kept, ending in %q", len(got), got[len(got)-10:])
	}
	tail.Forget()
	if _, err := tail.Write([]byte("INSERT 'a secret'")); err != nil {
		t.Fatal(err)
	}
	if got := tail.String(); got != "" {
		t.Errorf("kept %q after the start", got)
	}
}
