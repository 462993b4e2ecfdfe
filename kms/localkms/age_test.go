package localkms

import (
	"testing"
	"time"
)

func TestAgeIsThatOfTheCurrentVersion(t *testing.T) {
	k := Memory()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	k.clock = func() time.Time { return now }
	root, err := k.Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, err := k.Age(t.Context())
	if err != nil || a.RootKey != root || !a.Since.Equal(now) || a.Automatic {
		t.Errorf("got %+v, %v", a, err)
	}
}
