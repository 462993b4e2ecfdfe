package wire

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rowseal/rowseal/sqlproxy/internal/testpki"
)

// sockets gives both ends of a TCP connection, of which one is direct.
func sockets(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if theirs, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if ours, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	ours = Direct(ours)
	if _, ok := ours.(*direct); !ok {
		t.Fatalf("a TCP connection gives %T", ours)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

func randomBytes(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOnlySocketsAreDirect(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	if Direct(a) != a {
		t.Error("a pipe is taken for a socket")
	}
}

// Both directions at once, each more than a socket holds and than one call moves, with a peer that
// is slow to read.
func TestDirectCarriesBothWaysAtOnce(t *testing.T) {
	ours, theirs := sockets(t)
	data := randomBytes(t, 8<<20)
	var all sync.WaitGroup
	sum := func(what string, conn io.Reader, piece int) {
		got := sha256.New()
		buf := make([]byte, piece)
		for n := 0; n < len(data); {
			m, err := conn.Read(buf[:min(piece, len(data)-n)])
			if err != nil {
				t.Errorf("%s: %v after %d bytes", what, err, n)
				return
			}
			got.Write(buf[:m])
			n += m
		}
		if want := sha256.Sum256(data); !bytes.Equal(got.Sum(nil), want[:]) {
			t.Errorf("%s: other bytes arrive", what)
		}
	}
	write := func(what string, conn net.Conn) {
		if n, err := conn.Write(data); n != len(data) || err != nil {
			t.Errorf("%s: %d bytes, %v", what, n, err)
		}
	}
	all.Go(func() { write("ours", ours) })
	all.Go(func() { write("theirs", theirs) })
	all.Go(func() { sum("theirs", theirs, 1000) })
	all.Go(func() { sum("ours", ours, 200_000) })
	all.Wait()
}

func TestDirectWritesOfSeveralGoroutinesDoNotMix(t *testing.T) {
	ours, theirs := sockets(t)
	const writers, size = 4, 1 << 20
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			if _, err := ours.Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				t.Error(err)
			}
		})
	}
	got := make([]byte, writers*size)
	if _, err := io.ReadFull(theirs, got); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	for i := range writers {
		if part := got[i*size : (i+1)*size]; bytes.Count(part, part[:1]) != size {
			t.Error("two writes are mixed")
		}
	}
}

func TestDirectReadsToTheEnd(t *testing.T) {
	ours, theirs := sockets(t)
	if _, err := theirs.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	if n, err := ours.Read(nil); n != 0 || err != nil {
		t.Errorf("a read of nothing gives %d, %v", n, err)
	}
	got, err := io.ReadAll(ours)
	if string(got) != "last words" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if n, err := ours.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // as io.Reader promises
		t.Errorf("behind the end: %d, %v", n, err)
	}
	if n := ours.(eager).ReadNow(make([]byte, 1)); n != 0 {
		t.Errorf("behind the end %d bytes are there now", n)
	}
}

func TestReadNowDoesNotWait(t *testing.T) {
	ours, theirs := sockets(t)
	if n := ours.(eager).ReadNow(make([]byte, 10)); n != 0 {
		t.Errorf("%d bytes out of nothing", n)
	}
	if _, err := theirs.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := ours.Read(make([]byte, 10)); n != 1 || err != nil { // what found nothing has left nothing behind
		t.Errorf("%d, %v", n, err)
	}
}

// opError is what every error of a socket must be, for those who log it.
func opError(t *testing.T, err error, op string, is error) {
	t.Helper()
	var e *net.OpError
	if !errors.As(err, &e) || e.Op != op || e.Net != "tcp" || e.Addr == nil || e.Source == nil {
		t.Errorf("%#v is not a net.OpError of %s", err, op)
	}
	if !errors.Is(err, is) {
		t.Errorf("%v is not %v", err, is)
	}
}

func TestDirectKeepsDeadlines(t *testing.T) {
	ours, theirs := sockets(t)
	past := time.Now().Add(-time.Second)
	if err := ours.SetReadDeadline(past); err != nil {
		t.Fatal(err)
	}
	_, err := ours.Read(make([]byte, 1))
	opError(t, err, "read", os.ErrDeadlineExceeded)
	if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() { //nolint:errorlint // as callers of net do
		t.Error("it is no time-out")
	}
	// One that goes by, or is set, while something waits.
	if err := ours.SetDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, err = ours.Read(make([]byte, 1))
	opError(t, err, "read", os.ErrDeadlineExceeded)
	n, err := ours.Write(make([]byte, 64<<20))
	opError(t, err, "write", os.ErrDeadlineExceeded)
	if n >= 64<<20 {
		t.Errorf("%d bytes were written to who does not read", n)
	}
	if err := ours.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	waits := make(chan error, 1)
	go func() {
		_, err := ours.Read(make([]byte, 1))
		waits <- err
	}()
	if err := ours.SetReadDeadline(past); err != nil {
		t.Fatal(err)
	}
	opError(t, <-waits, "read", os.ErrDeadlineExceeded)
	if err := ours.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := ours.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("behind the deadline: %d, %v", n, err)
	}
}

func TestCloseEndsDirectReadsAndWrites(t *testing.T) {
	ours, _ := sockets(t)
	reads, writes := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := ours.Read(make([]byte, 1))
		reads <- err
	}()
	go func() {
		_, err := ours.Write(make([]byte, 64<<20))
		writes <- err
	}()
	ours.Close()
	opError(t, <-reads, "read", net.ErrClosed)
	opError(t, <-writes, "write", net.ErrClosed)
	_, err := ours.Read(make([]byte, 1))
	opError(t, err, "read", net.ErrClosed)
	_, err = ours.Write(make([]byte, 1))
	opError(t, err, "write", net.ErrClosed)
	if n := ours.(eager).ReadNow(make([]byte, 1)); n != 0 {
		t.Errorf("%d bytes of a closed connection", n)
	}
}

func TestDirectTellsOfAPeerThatIsGone(t *testing.T) {
	ours, theirs := sockets(t)
	if err := theirs.(*net.TCPConn).SetLinger(0); err != nil { // Close sends a reset
		t.Fatal(err)
	}
	theirs.Close()
	_, err := ours.Read(make([]byte, 1))
	opError(t, err, "read", syscall.ECONNRESET)
	_, err = ours.Write(make([]byte, 1))
	opError(t, err, "write", syscall.EPIPE)
}

func TestTLSOverDirect(t *testing.T) {
	ours, theirs := sockets(t)
	ca := testpki.New(t, testpki.P256)
	server := tls.Server(ours, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, testpki.P256, "localhost")}})
	client := tls.Client(theirs, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"})
	data := randomBytes(t, 1<<20)
	go func() {
		if _, err := server.Write(data); err != nil {
			t.Error(err)
		}
		server.Close()
	}()
	if got, err := io.ReadAll(client); !bytes.Equal(got, data) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
