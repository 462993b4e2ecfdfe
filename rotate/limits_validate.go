package rotate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// minShare keeps pauses within days.
const minShare = 0.001

// Validate says what is wrong with limits for a job on a database of dialect d: the error names the
// field and what it takes. It looks at the pause file and asks no server. Use it before an [Order] is given.
func (l Limits) Validate(d Dialect) error {
	_, err := l.compile(d)
	return err
}

// compile is Validate, and returns the hours it parsed.
func (l Limits) compile(d Dialect) (hours, error) {
	open, err := parseHours(l.Hours)
	if err != nil {
		return hours{}, err
	}
	for _, n := range []struct {
		name  string
		value int64
		takes string
	}{
		{"RowsPerSecond", int64(l.RowsPerSecond), "rows a second, at least 1"},
		{"PageTime", int64(l.PageTime), "a time such as 200ms"},
		{"ReplicaLagBytes", l.ReplicaLagBytes, "bytes, at least 1"},
		{"ReplicaLag", int64(l.ReplicaLag), "a time such as 10s"},
		{"WALPerSecond", l.WALPerSecond, "bytes a second, at least 1"},
		{"ActiveConnections", int64(l.ActiveConnections), "a number of connections, at least 1"},
	} {
		if n.value < 0 {
			return hours{}, fmt.Errorf("rotate: Limits.%s is negative; give %s, or 0 for no limit", n.name, n.takes)
		}
	}
	if l.Share != 0 && !(l.Share >= minShare && l.Share <= 1) { // not <, which NaN would pass
		return hours{}, fmt.Errorf("rotate: Limits.Share is %v; give a part of the time, %v to 1, or 0 for no limit", l.Share, minShare)
	}
	if _, err := fileExists(l.PauseFile); err != nil {
		return hours{}, fmt.Errorf("rotate: Limits.PauseFile cannot be looked at; give a path in a directory that this process may search: %w", err)
	}
	if field := l.asksServer(); field != "" && d != PostgreSQL {
		return hours{}, fmt.Errorf("rotate: Limits.%s needs to ask the server for its load, which is there for PostgreSQL only; on %v leave it out "+
			"(RowsPerSecond, Share, PageTime, PauseFile and Hours work everywhere)", field, d)
	}
	return open, nil
}

// asksServer names a limit that needs to know the server's load; "" where there is none.
func (l Limits) asksServer() string {
	switch {
	case l.ReplicaLagBytes > 0:
		return "ReplicaLagBytes"
	case l.ReplicaLag > 0:
		return "ReplicaLag"
	case l.WALPerSecond > 0:
		return "WALPerSecond"
	case l.ActiveConnections > 0:
		return "ActiveConnections"
	}
	return ""
}

// questions are what the limits need to know of the server.
func (l Limits) questions() questions {
	return questions{
		replicas: l.ReplicaLagBytes > 0 || l.ReplicaLag > 0,
		wal:      l.WALPerSecond > 0,
		active:   l.ActiveConnections > 0,
	}
}

// fileExists reports whether there is a file at path; there is none at "".
func fileExists(path string) (bool, error) {
	if path == "" {
		return false, nil
	}
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// rest is how long a worker pauses after a page that took so long in the database.
func (l Limits) rest(took time.Duration) time.Duration {
	if l.Share == 0 {
		return 0
	}
	return time.Duration(float64(took) * (1/l.Share - 1))
}
