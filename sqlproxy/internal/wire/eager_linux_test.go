package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
)

// sentOver gives a connection on which data has arrived, and nothing more comes.
func sentOver(t *testing.T, data []byte) net.Conn {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	from, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	to, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { to.Close() })
	if err := from.(*net.UnixConn).SetWriteBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	if _, err := from.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}
	return Direct(to)
}

func TestABusyStreamReadsOnBeforeItWrites(t *testing.T) {
	const n = 1000 // of 105 bytes, twice a large buffer's worth; 7 bytes of each are written
	in := bytes.Repeat(message('R', 100), n)
	to := &sink{}
	s := NewStream(sentOver(t, in), to, nil, nil)
	if err := act(s); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if !bytes.Equal(to.data, bytes.Repeat(message('r', 2), n)) {
		t.Errorf("%d bytes came out", len(to.data))
	}
	// One for the small buffer that it began with, one for all the rest.
	if to.writes != 2 {
		t.Errorf("%d writes", to.writes)
	}
}

func TestReadingOnLosesNothing(t *testing.T) {
	var in, want []byte
	for i := range 600 {
		switch typ := "PDRB"[i%4]; typ {
		case 'D':
			in = append(in, message(typ, i)...)
		case 'R':
			in = append(in, message(typ, i)...)
			want = append(want, message('r', 2)...)
		default:
			in = append(in, message(typ, i)...)
			want = append(want, message(typ, i)...)
		}
	}
	to := &sink{}
	s := NewStream(sentOver(t, in), to, nil, nil)
	if err := act(s); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if !bytes.Equal(to.data, want) {
		t.Errorf("%d bytes came out, want %d", len(to.data), len(want))
	}
}
