package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// source gives its bytes in pieces, and takes no deadlines.
type source struct {
	net.Conn
	data  []byte
	piece int
}

func (s *source) Read(b []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), s.piece)], s.data)
	s.data = s.data[n:]
	return n, nil
}

func (s *source) SetReadDeadline(time.Time) error { return nil }

// sink gathers what is written, and counts the writes.
type sink struct {
	net.Conn
	data   []byte
	writes int
}

func (s *sink) Write(b []byte) (int, error) {
	s.data = append(s.data, b...)
	s.writes++
	return len(b), nil
}

// message is a message with a body of n bytes.
func message(typ byte, n int) []byte {
	return AppendMessage(nil, typ, string(bytes.Repeat([]byte{typ}, n)))
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestMessagesArePassedDroppedAndReplaced(t *testing.T) {
	sizes := []int{0, 1, 3, 100, 2040, 2048, 5000, 65531, 65536, 70000, 300000}
	for _, piece := range []int{1, 2, 7, 100, 2048, 65536, 1 << 20} {
		var in, want []byte
		for _, n := range sizes {
			if piece < 100 && n > 6000 {
				continue
			}
			for _, typ := range []byte("PDRB") {
				m := message(typ, n)
				in = append(in, m...)
				switch typ {
				case 'P', 'B':
					want = append(want, m...)
				case 'R':
					want = append(want, message('r', 2)...)
				}
			}
		}
		to := &sink{}
		s := NewStream(&source{data: in[3:], piece: piece}, to, in[:3], nil)
		if err := act(s); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if !bytes.Equal(to.data, want) {
			t.Errorf("pieces of %d: %d bytes came out, want %d", piece, len(to.data), len(want))
		}
	}
}

// act passes, drops, replaces and looks at messages, by their type.
func act(s *Stream) error {
	for {
		typ, size, err := s.Next()
		if err != nil {
			return err
		}
		switch typ {
		case 'P':
			s.Pass()
		case 'D':
			s.Drop()
		case 'R':
			out := AppendMessage(s.Append(), 'r', "rr")
			s.Drop()
			if err := s.Set(out); err != nil {
				return err
			}
		case 'B':
			prefix, err := s.Prefix(10)
			if err != nil || len(prefix) < min(10, size) {
				return errors.New("prefix is short")
			}
			body, err := s.Body(1 << 20)
			if err != nil || !bytes.Equal(body, bytes.Repeat([]byte{'B'}, size)) {
				return errors.New("body is not what was sent")
			}
			s.Pass()
		default:
			s.PassAll()
		}
	}
}

func TestARunOfMessagesIsOneWrite(t *testing.T) {
	in := bytes.Repeat(message('D', 20), 40)
	to := &sink{}
	s := NewStream(&source{data: in, piece: 1 << 20}, to, nil, nil)
	for {
		if _, _, err := s.Next(); err != nil {
			break
		}
		s.PassAll()
	}
	if !bytes.Equal(to.data, in) || to.writes != 1 {
		t.Errorf("%d bytes in %d writes", len(to.data), to.writes)
	}
}

func TestALongMessageIsStreamed(t *testing.T) {
	const size = 64 << 20
	s := NewStream(&source{data: message('D', size), piece: 1 << 20}, &sink{}, nil, nil)
	if _, _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Body(size - 1); !errors.Is(err, ErrTooLong) {
		t.Errorf("a body over the limit gives %v", err)
	}
	s.Pass()
	if _, _, err := s.Next(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if len(s.buf) > largeSize || len(s.dst.(*sink).data) != size+HeaderSize {
		t.Errorf("the buffer grew to %d bytes; %d came out", len(s.buf), len(s.dst.(*sink).data))
	}
}

func TestAWaitingStreamHoldsNoLargeBuffer(t *testing.T) {
	client, server := net.Pipe()
	s := NewStream(server, &sink{}, nil, nil)
	go func() {
		client.Write(bytes.Repeat(message('D', 1000), 100))
		<-t.Context().Done()
	}()
	for range 100 {
		if _, _, err := s.Next(); err != nil {
			t.Error(err)
		}
		s.Pass()
	}
	if s.large == nil {
		t.Error("a busy stream has no large buffer")
	}
	end := time.AfterFunc(3*pause, func() { client.Close() })
	defer end.Stop()
	if _, _, err := s.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if s.large != nil || len(s.buf) != smallSize {
		t.Errorf("after a pause the buffer has %d bytes", len(s.buf))
	}
}

func TestWhatIsNoMessageEndsTheStream(t *testing.T) {
	for _, in := range []string{"D\x00\x00\x00\x03", "D\xff\xff\xff\xff", "D\x7f\xff\xff\xff", "D\x00\x00\x00\x00"} {
		s := NewStream(&source{data: []byte(in), piece: 100}, &sink{}, nil, nil)
		if _, _, err := s.Next(); !errors.Is(err, ErrFrame) {
			t.Errorf("%x gives %v", in, err)
		}
	}
}

func TestBeforeComesBeforeEachWriteAndEndsTheStream(t *testing.T) {
	to := &sink{}
	refused := errors.New("refused")
	s := NewStream(&source{data: message('Q', 5), piece: 100}, to, nil, func() error { return refused })
	if _, _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	s.Pass()
	if err := s.Flush(); !errors.Is(err, refused) || to.writes != 0 {
		t.Errorf("flush gives %v after %d writes", err, to.writes)
	}
}

func TestSendWaitsForTheEndOfAMessage(t *testing.T) {
	client, server := net.Pipe()
	to := &sink{}
	s := NewStream(server, to, nil, nil)
	first := message('P', 5000)
	sent := make(chan error, 1)
	go func() {
		client.Write(first[:3000])
		go func() { sent <- s.Send(message('Z', 1)) }()
		client.Write(first[3000:])
		client.Close()
	}()
	if err := act(s); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	whole := bytes.Equal(to.data, concat(first, message('Z', 1))) || bytes.Equal(to.data, concat(message('Z', 1), first))
	if !whole {
		t.Error("a message was sent amid another")
	}
}

// FuzzStream proves that whatever comes in whatever pieces, what is passed is what came.
func FuzzStream(f *testing.F) {
	f.Add(concat(message('X', 3), message('X', 0), message('Y', 3000)), 5)
	f.Add([]byte("D\x00\x00\x00\x04D\x00\x00"), 1)
	f.Add([]byte("D\x00\x00\x00\x03"), 9)
	f.Add(concat(message('P', 3), message('D', 4), message('B', 9), message('R', 2)), 3)
	f.Fuzz(func(t *testing.T, in []byte, piece int) {
		if piece < 1 || piece > 1<<20 {
			return
		}
		to := &sink{}
		s := NewStream(&source{data: in, piece: piece}, to, nil, nil)
		for {
			if _, _, err := s.Next(); err != nil {
				break
			}
			s.PassAll()
		}
		if !bytes.HasPrefix(in, to.data) {
			t.Fatal("what came out is not what came in")
		}
		to.data = nil
		if err := act(NewStream(&source{data: in, piece: piece}, to, nil, nil)); err == nil {
			t.Fatal("a stream without an end")
		}
	})
}
