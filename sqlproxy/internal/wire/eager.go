package wire

import (
	"net"
	"syscall"
)

// eager reads what has arrived without waiting for more, so that a stream which is busy
// need not write each time it has used up its input: a server sends a long
// result in pieces of 8 kB, and writes cost more than all else.
type eager struct {
	raw  syscall.RawConn
	try  func(fd uintptr) bool // made once, so that a read allocates nothing
	buf  []byte
	read int
}

// newEager returns nil for connections that cannot be read so, such as TLS.
func newEager(conn net.Conn) *eager {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	e := &eager{raw: raw}
	e.try = func(fd uintptr) bool {
		n, err := tryRead(fd, e.buf)
		if e.read = n; err != nil {
			e.read = 0 // an ordinary read says what is wrong
		}
		return true
	}
	return e
}

// into reads into buf and returns how much there was. 0 says nothing about
// whether more will come.
func (e *eager) into(buf []byte) int {
	e.buf, e.read = buf, 0
	err := e.raw.Read(e.try)
	e.buf = nil
	if err != nil {
		return 0
	}
	return max(e.read, 0)
}
