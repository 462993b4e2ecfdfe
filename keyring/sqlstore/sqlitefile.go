package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// busyWait is how long a statement waits for another writer.
const busyWait = 10 * time.Second

// prepareFile makes an empty file for SQLite, which would create one that the
// umask opens to others, and returns the driver's name for it. The files that
// SQLite puts beside it take its mode.
func prepareFile(path string) (uri string, err error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	// An existing file is not opened here: closing it would drop the locks
	// that another Store of this process holds on it.
	f, err := os.OpenFile(absolute, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case err == nil:
		err = f.Close()
	case errors.Is(err, fs.ErrExist):
		err = checkMode(absolute)
	}
	if err != nil {
		return "", err
	}
	slashed := filepath.ToSlash(absolute)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // C:/keys.db
	}
	// FULL makes a commit wait for the disk; secure_delete overwrites the
	// wraps of destroyed keys.
	pragmas := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyWait.Milliseconds()), "synchronous(FULL)", "secure_delete(ON)",
	}}
	return (&url.URL{Scheme: "file", Path: slashed, RawQuery: pragmas.Encode()}).String(), nil
}

// checkMode refuses a file that anybody but its owner may use.
func checkMode(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a file; name a file")
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("the file's mode is %04o, so that others may use it; run chmod 600 on it", mode)
	}
	return nil
}

// useWAL switches the file, for good, to the write-ahead log, in which readers
// and a writer do not wait for each other.
func useWAL(ctx context.Context, db *sql.DB) error {
	var mode string
	err := whileBusy(ctx, func() error {
		return db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode)
	})
	if err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the file system does not allow a write-ahead log (journal mode %s); use a local disk", mode)
	}
	return nil
}

// whileBusy repeats a step for as long as another process holds the file.
// SQLite does not wait by busy_timeout where waiting could end in a deadlock,
// as when several processes switch the journal mode, or make the first table,
// at once.
func whileBusy(ctx context.Context, step func() error) error {
	const pause = 5 * time.Millisecond
	until := time.Now().Add(busyWait)
	for {
		err := step()
		if code := liteCode(err); code != liteBusy && code != liteLocked || time.Now().After(until) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}
