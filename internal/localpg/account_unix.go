//go:build unix

package localpg

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account is the user a server runs as; nil is the user of this process.
type account struct{ credential *syscall.Credential }

// serverAccount returns this process's user, or the user postgres when this process is root's.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	return lookupAccount(superuser)
}

func lookupAccount(name string) (account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, fmt.Errorf("localpg: PostgreSQL refuses to run as root and there is no user %q "+
			"to run it as; create one with: useradd --system --no-create-home %s: %w", name, name, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("localpg: user %q: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("localpg: user %q: %w", name, err)
	}
	return account{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

// own gives a file to the account.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	return os.Chown(path, int(a.credential.Uid), int(a.credential.Gid))
}

// attributes puts a program into a process group of its own, so that Ctrl-C reaches the program that
// owns the server and not the server before it.
func (a account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Credential: a.credential}
	dieWithParent(attr)
	return attr
}

func (p *process) killGroup() {
	// The group may be gone already, which is what is wanted.
	_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
}

// detached lets the watchdog survive signals meant for this process's group.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
