package localpg

import "syscall"

// dieWithParent has the kernel send SIGQUIT, PostgreSQL's immediate shutdown, when this process dies.
// SIGKILL would leave the server's shared memory behind.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
