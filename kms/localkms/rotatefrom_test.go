package localkms

import (
	"errors"
	"sync"
	"testing"

	"github.com/rowseal/rowseal/kms"
)

// TestSeveralWhoFindTheKeyTooOldRotateItOnce: as processes do, each with the file opened by itself.
func TestSeveralWhoFindTheKeyTooOldRotateItOnce(t *testing.T) {
	path := newFile(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done, late := 0, 0
	current, err := mustOpen(t, path).Current(t.Context())
	must(t, err)
	for range 8 {
		k := mustOpen(t, path)
		wg.Go(func() {
			_, err := k.RotateFrom(t.Context(), current)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				done++
			case errors.Is(err, ErrRotated) && errors.Is(err, kms.ErrInvalid):
				late++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	versions, err := mustOpen(t, path).Versions(t.Context())
	must(t, err)
	if done != 1 || late != 7 || len(versions) != 2 {
		t.Errorf("%d rotated, %d were late, %d versions", done, late, len(versions))
	}
	if _, err := mustOpen(t, path).RotateFrom(t.Context(), ""); !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("from nothing: %v", err)
	}
}
