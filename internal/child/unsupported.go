//go:build !unix

package child

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
)

// Account is the user that a server runs as.
type Account struct{}

// ServerAccount returns an error: servers cannot be run here.
func ServerAccount(product, _ string) (Account, error) {
	return Account{}, fmt.Errorf("child: %w on %s; start %s yourself and pass its connection string",
		errors.ErrUnsupported, runtime.GOOS, product)
}

// Own does nothing here.
func (Account) Own(string) error                 { return nil }
func (Account) attributes() *syscall.SysProcAttr { return nil }

// KillGroup ends the program.
func (p *Process) KillGroup()        { _ = p.cmd.Process.Kill() }
func detached() *syscall.SysProcAttr { return nil }
