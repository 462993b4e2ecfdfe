package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// ErrNoBinaries is returned by Start where PostgreSQL's server programs are not installed.
var ErrNoBinaries = errors.New("localpg: no PostgreSQL server programs (initdb, postgres) on this machine; " +
	"install them with: apt-get install postgresql")

// Available reports whether Start would find server programs with Config.BinDir empty.
func Available() bool {
	_, err := findBinaries(context.Background(), "")
	return err == nil
}

// findBinaries returns the folder that holds initdb and postgres.
func findBinaries(ctx context.Context, binDir string) (string, error) {
	if binDir != "" {
		if !hasServer(binDir) {
			return "", fmt.Errorf("%w (Config.BinDir %q holds no initdb and postgres)", ErrNoBinaries, binDir)
		}
		dir, err := filepath.Abs(binDir)
		return home(dir), err
	}
	candidates := append(pathDirs(), versionDirs("/usr/lib/postgresql/*/bin")...)
	for _, dir := range candidates {
		if hasServer(dir) {
			return home(dir), nil
		}
	}
	if dir := pgConfigBindir(ctx); hasServer(dir) {
		return dir, nil
	}
	return "", ErrNoBinaries
}

// home follows links from a folder such as /usr/local/bin to the one where all programs of the
// installation lie side by side.
func home(dir string) string {
	real, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
	if err != nil || !hasServer(filepath.Dir(real)) {
		return dir
	}
	return filepath.Dir(real)
}

// pathDirs returns PATH's absolute folders; a relative one would name another folder for the server,
// which runs in a directory of its own.
func pathDirs() []string {
	var dirs []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// versionDirs returns the folders that the pattern matches, highest version first: 15 before 9.6.
func versionDirs(pattern string) []string {
	dirs, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	version := func(dir string) float64 {
		v, err := strconv.ParseFloat(filepath.Base(filepath.Dir(dir)), 64)
		if err != nil {
			return 0
		}
		return v
	}
	sort.SliceStable(dirs, func(i, j int) bool { return version(dirs[i]) > version(dirs[j]) })
	return dirs
}

func pgConfigBindir(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func hasServer(dir string) bool {
	return dir != "" && isProgram(filepath.Join(dir, "initdb")) && isProgram(filepath.Join(dir, "postgres"))
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}
