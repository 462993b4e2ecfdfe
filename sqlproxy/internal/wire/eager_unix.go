//go:build unix

package wire

import "syscall"

func tryRead(fd uintptr, buf []byte) (int, error) { return syscall.Read(int(fd), buf) }
