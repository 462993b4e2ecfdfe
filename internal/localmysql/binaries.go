package localmysql

import (
	"errors"
	"os/exec"
)

// ErrNoBinaries is returned by Start where no server program is installed.
var ErrNoBinaries = errors.New("localmysql: no server program (mariadbd or mysqld) on this machine; " +
	"install one with: apt-get install mariadb-server")

// Available reports whether Start would find server programs.
func Available() bool {
	_, err := findPrograms()
	return err == nil
}

// programs are those of one product.
type programs struct {
	server  string
	install string // MariaDB's maker of data directories; "" where the server makes its own
}

// findPrograms looks in PATH and in /usr/sbin, which an ordinary user's PATH lacks. MariaDB has links
// from MySQL's names to its own, so it is looked for first.
func findPrograms() (programs, error) {
	install := firstOf("mariadb-install-db", "mysql_install_db")
	for _, names := range [][]string{{"mariadbd", "/usr/sbin/mariadbd"}, {"mysqld", "/usr/sbin/mysqld"}} {
		server := firstOf(names...)
		if server == "" {
			continue
		}
		if install != "" || names[0] == "mysqld" {
			return programs{server: server, install: install}, nil
		}
	}
	return programs{}, ErrNoBinaries
}

func firstOf(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// initialiser returns the program that makes a data directory, with a root account without a password
// and nothing else, and its arguments.
func (p programs) initialiser(dataDir string) (program string, args []string) {
	if p.install == "" {
		return p.server, []string{"--no-defaults", "--initialize-insecure", "--datadir=" + dataDir}
	}
	return p.install, []string{
		"--no-defaults", "--datadir=" + dataDir,
		"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
	}
}
