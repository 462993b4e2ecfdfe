package child

import "syscall"

// dieWithParent has the kernel send SIGQUIT, PostgreSQL's immediate shutdown and MariaDB's normal
// one, when this process dies. SIGKILL would leave PostgreSQL's shared memory behind.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
