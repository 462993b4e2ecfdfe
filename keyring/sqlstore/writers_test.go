package sqlstore

import (
	"fmt"
	"sync"
	"testing"

	"github.com/rowseal/rowseal/keyring"
)

// TestWritersOfASQLiteFileStandInALine holds the file's one place for a writer: those who wait hold one connection of
// the pool together, so that readers go on, and write when the place is free.
func TestWritersOfASQLiteFileStandInALine(t *testing.T) {
	connection := sqliteURL(t)
	s, other := initialized(t, connection), open(t, connection)
	conn, err := other.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	const writers = 3 * poolSize
	var begun, all sync.WaitGroup
	for i := range writers {
		begun.Add(1)
		all.Go(func() {
			begun.Done()
			if _, err := s.Create(soon(t), []keyring.Record{key(fmt.Sprint("t", i), 1)}); err != nil {
				t.Error(err)
			}
		})
	}
	begun.Wait()
	most := 0
	for range 50 {
		if _, err := s.Now(soon(t)); err != nil {
			t.Fatal(err)
		}
		most = max(most, s.db.Stats().InUse)
	}
	if most > 1 {
		t.Errorf("%d connections wait", most)
	}
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}
