//go:build unix

package child

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Account is the user a server runs as; the zero value is the user of this process.
type Account struct{ credential *syscall.Credential }

// ServerAccount returns this process's user, or the named one when this process is root's, because
// servers refuse to run as root. product is the server's name in errors.
func ServerAccount(product, name string) (Account, error) {
	if os.Geteuid() != 0 {
		return Account{}, nil
	}
	return lookupAccount(product, name)
}

func lookupAccount(product, name string) (Account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return Account{}, fmt.Errorf("child: %s refuses to run as root and there is no user %q "+
			"to run it as; create one with: useradd --system --no-create-home %s: %w", product, name, name, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return Account{}, fmt.Errorf("child: user %q: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return Account{}, fmt.Errorf("child: user %q: %w", name, err)
	}
	return Account{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

// Own gives a file to the account.
func (a Account) Own(path string) error {
	if a.credential == nil {
		return nil
	}
	return os.Chown(path, int(a.credential.Uid), int(a.credential.Gid))
}

// attributes puts a program into a process group of its own, so that Ctrl-C reaches the program that
// owns the server and not the server before it.
func (a Account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Credential: a.credential}
	dieWithParent(attr)
	return attr
}

// KillGroup ends the program and all that it started.
func (p *Process) KillGroup() {
	// The group may be gone already, which is what is wanted.
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
}

// detached lets the watchdog survive signals meant for this process's group.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
