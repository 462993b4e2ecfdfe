//go:build unix && !linux

package child

import "syscall"

// dieWithParent does nothing where the kernel has no parent-death signal; the watchdog acts alone.
func dieWithParent(*syscall.SysProcAttr) {}
