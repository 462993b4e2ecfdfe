//go:build !unix

package localpg

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
)

type account struct{}

func serverAccount() (account, error) {
	return account{}, fmt.Errorf("localpg: %w on %s; start PostgreSQL yourself and pass its connection string",
		errors.ErrUnsupported, runtime.GOOS)
}

func (account) own(string) error                 { return nil }
func (account) attributes() *syscall.SysProcAttr { return nil }
func (p *process) killGroup()                    { _ = p.cmd.Process.Kill() }
func detached() *syscall.SysProcAttr             { return nil }
