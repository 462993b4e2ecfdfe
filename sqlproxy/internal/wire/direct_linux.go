package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// Direct gives a connection over the same socket which reads and writes without telling Go's scheduler. Anything
// but a TCP or Unix connection it gives as it is. It belongs below TLS, right behind Accept and Dial.
//
// Around each system call the runtime makes ready for a thread that blocks: another thread may take over
// its place, and is woken for it. Go's sockets never block: where there is nothing to read, or no room to write, the call
// returns EAGAIN and the goroutine waits for the poller. So there is nothing to make ready for, and for
// a proxy, of whose work the system calls are the most, it costs a lot: a point select through it takes 22.8 µs
// of processor time and not 30.0, and clients see a fifth more of them in a second.
//
// The price is that the runtime cannot stop a goroutine amid a call, so that a collection waits for it. Calls therefore move
// at most [directSize], which takes some 20 µs.
func Direct(conn net.Conn) net.Conn {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return conn
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return conn // which says itself what is wrong with it
	}
	d := &direct{Conn: conn, raw: raw}
	d.in.try, d.out.try = d.in.read, d.out.write
	d.in.now = func(fd uintptr) bool { d.in.read(fd); return true }
	return d
}

// directSize is how much one call moves at most.
const directSize = 64 << 10

// direct is a connection as of Direct. Reads and writes share nothing, and those of one
// direction wait for each other, so that it may be used by as many goroutines as any connection.
type direct struct {
	net.Conn
	raw syscall.RawConn
	in  directIn
	out directOut
}

var (
	_ net.Conn = (*direct)(nil)
	_ eager    = (*direct)(nil)
)

// CloseWrite shuts down the writing side.
func (d *direct) CloseWrite() error {
	if c, ok := d.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// directIn is what a read needs.
type directIn struct {
	mu       sync.Mutex
	buf      []byte
	n        int
	err      error
	try, now func(fd uintptr) bool // made once, so that a read allocates nothing
}

// read is called with the socket. It reports whether there is no need to wait.
func (r *directIn) read(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&r.buf[0])), uintptr(len(r.buf)))
		switch errno {
		case 0:
			if r.n = int(n); n == 0 {
				r.err = io.EOF
			}
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			r.err = os.NewSyscallError("read", errno)
			return true
		}
	}
}

// run reads once into p by way of try or now.
func (r *directIn) run(raw syscall.RawConn, try func(fd uintptr) bool, p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf, r.n, r.err = p[:min(len(p), directSize)], 0, nil
	err = raw.Read(try)
	r.buf = nil
	if err == nil {
		err = r.err
	}
	return r.n, err
}

// directOut is what a write needs.
type directOut struct {
	mu  sync.Mutex
	buf []byte // what is left to write
	err error
	try func(fd uintptr) bool
}

// write is called with the socket. It reports whether there is no need to wait.
func (w *directOut) write(fd uintptr) bool {
	for len(w.buf) > 0 {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&w.buf[0])), uintptr(min(len(w.buf), directSize)))
		switch errno {
		case 0:
			if n == 0 {
				w.err = io.ErrUnexpectedEOF // it does not happen; it would go on for ever
				return true
			}
			w.buf = w.buf[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			w.err = os.NewSyscallError("write", errno)
			return true
		}
	}
	return true
}

// Read reads what has arrived, and waits where that is nothing.
func (d *direct) Read(p []byte) (int, error) {
	n, err := d.in.run(d.raw, d.in.try, p)
	if err != nil && err != io.EOF { //nolint:errorlint // directIn.read's own
		err = d.failed("read", err)
	}
	return n, err
}

// ReadNow reads what has arrived.
func (d *direct) ReadNow(p []byte) int {
	n, err := d.in.run(d.raw, d.in.now, p)
	if err != nil {
		return 0
	}
	return n
}

// Write writes all of p.
func (d *direct) Write(p []byte) (int, error) {
	w := &d.out
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf, w.err = p, nil
	err := d.raw.Write(w.try)
	n := len(p) - len(w.buf)
	w.buf = nil
	if err == nil {
		err = w.err
	}
	if err != nil {
		err = d.failed("write", err)
	}
	return n, err
}

// failed gives an error as net's connections do.
func (d *direct) failed(op string, err error) error {
	if e := (*net.OpError)(nil); errors.As(err, &e) { // of syscall.RawConn, which calls it otherwise
		err = e.Err
	}
	return &net.OpError{Op: op, Net: d.LocalAddr().Network(), Source: d.LocalAddr(), Addr: d.RemoteAddr(), Err: err}
}
