package wire

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// smallSize is the buffer of a stream that waits: most messages are smaller.
	smallSize = 1 << 10
	// largeSize is the buffer of a stream that is busy. It goes back to a pool when
	// the stream pauses, so that idle connections hold none.
	largeSize = 64 << 10
	// flushSize is how much changed output is gathered at most.
	flushSize = 32 << 10
	// eagerSize is how much room a read ahead of a write must have.
	eagerSize = 8 << 10
	// outSize is the buffer for changed output at first, keepSize the largest that goes back to its pool.
	outSize  = 4 << 10
	keepSize = 128 << 10
	// pause is how long a stream may wait before it gives back its large buffer.
	pause = time.Second
)

var (
	largeBuffers = sync.Pool{New: func() any { return new([largeSize]byte) }}
	outBuffers   = sync.Pool{New: func() any {
		b := make([]byte, 0, outSize)
		return &b
	}}
)

// Stream carries messages from one connection to another. Its methods, but for
// [Stream.Send], are for one goroutine.
//
// [Stream.Next] goes to the next message, which then is either passed
// ([Stream.Pass]) or dropped ([Stream.Drop]), after a look at its body or not.
// What [Stream.Next] is called upon again is dropped neither nor passed twice.
// Output is gathered and written when the input pauses or a buffer is full.
type Stream struct {
	src, dst net.Conn
	eager    eager // src, nil where it cannot be read so
	before   func() error

	buf       []byte // small or a large one; longer ones hold a single long message
	large     *[largeSize]byte
	small     [smallSize]byte
	run, r, w int // buf[run:r] is to be written as it is, buf[r:w] was not looked at
	size      int // of the body of the message at r
	left      int // bytes of the current message that did not arrive yet
	dropping  bool
	full      bool // the last read filled the buffer: more is on its way
	deadline  time.Time

	out    []byte  // what is to be written before buf[run:r]; nil for nothing
	pooled *[]byte // what out was at first, for the pool

	mu     sync.Mutex // guards writing to dst, from the beginning to the end of a message
	locked bool
}

// NewStream returns a Stream. pending are bytes that were read from src
// already. before, if not nil, is called each time before something is written;
// its error ends the stream.
func NewStream(src, dst net.Conn, pending []byte, before func() error) *Stream {
	s := &Stream{src: src, dst: dst, before: before}
	s.eager, _ = src.(eager)
	s.buf = s.small[:]
	if len(pending) > len(s.buf) {
		s.buf = make([]byte, len(pending))
	}
	s.w = copy(s.buf, pending)
	return s
}

// Next waits for a message and returns its type and the size of its body.
func (s *Stream) Next() (typ byte, size int, err error) {
	for s.left > 0 {
		if s.r == s.w {
			if err := s.need(1); err != nil {
				return 0, 0, err
			}
		}
		s.skip(min(s.left, s.w-s.r))
	}
	if s.w-s.r < HeaderSize {
		if err := s.need(HeaderSize); err != nil {
			return 0, 0, err
		}
	}
	n := binary.BigEndian.Uint32(s.buf[s.r+1:])
	if n < 4 || n-4 > maxBody {
		return 0, 0, ErrFrame
	}
	s.size = int(n - 4)
	return s.buf[s.r], s.size, nil
}

// skip goes over n bytes, which are to be passed or dropped.
func (s *Stream) skip(n int) {
	s.r += n
	s.left -= n
	if s.dropping {
		s.run = s.r
	}
}

// Pass passes the current message on as it is.
func (s *Stream) Pass() {
	s.dropping = false
	s.left = HeaderSize + s.size
	s.skip(min(s.left, s.w-s.r))
}

// PassAll passes the current message and those of the same type that follow it and
// have arrived as a whole.
func (s *Stream) PassAll() {
	typ := s.buf[s.r]
	s.Pass()
	for s.left == 0 && s.w-s.r >= HeaderSize && s.buf[s.r] == typ {
		n := binary.BigEndian.Uint32(s.buf[s.r+1:])
		if n < 4 || uint64(n)+1 > uint64(s.w-s.r) {
			return
		}
		s.r += int(n) + 1
	}
}

// Drop leaves the current message out.
func (s *Stream) Drop() {
	s.settle()
	s.dropping = true
	s.left = HeaderSize + s.size
	s.skip(min(s.left, s.w-s.r))
}

// Prefix returns at least n bytes of the current body, or all of it where it is shorter.
// The bytes are valid until the next call of Next. n is at most 16 kB.
func (s *Stream) Prefix(n int) ([]byte, error) {
	n = min(n, s.size)
	if s.w-s.r < HeaderSize+n {
		if err := s.need(HeaderSize + n); err != nil {
			return nil, err
		}
	}
	return s.buf[s.r+HeaderSize : min(s.w, s.r+HeaderSize+s.size)], nil
}

// Body returns the whole body of the current message, valid until the next call of
// Next. Where it is longer than limit it answers ErrTooLong.
func (s *Stream) Body(limit int) ([]byte, error) {
	if s.size > limit {
		return nil, ErrTooLong
	}
	end := s.r + HeaderSize + s.size
	if s.w < end {
		if err := s.need(HeaderSize + s.size); err != nil {
			return nil, err
		}
		end = s.r + HeaderSize + s.size
	}
	return s.buf[s.r+HeaderSize : end : end], nil
}

// Buffered reports whether the next message has arrived as a whole.
func (s *Stream) Buffered() bool {
	if s.left > 0 || s.w-s.r < HeaderSize {
		return false
	}
	return s.w-s.r > int(binary.BigEndian.Uint32(s.buf[s.r+1:]))
}

// Append gives the output gathered so far, to which a message may be appended;
// [Stream.Set] gives it back.
func (s *Stream) Append() []byte {
	s.settle()
	s.open()
	return s.out
}

// Set sets the output to what Append gave, and more. It writes when there is much of it.
func (s *Stream) Set(out []byte) error {
	s.out = out
	if len(out) >= flushSize {
		return s.Flush()
	}
	return nil
}

// settle moves what is to be written as it is behind the other output.
func (s *Stream) settle() {
	if s.run < s.r {
		s.open()
		s.out = append(s.out, s.buf[s.run:s.r]...)
	}
	s.run = s.r
}

// open gets a buffer for output, and shut gives it back: a stream that waits has none.
func (s *Stream) open() {
	if s.out == nil {
		s.pooled = outBuffers.Get().(*[]byte)
		s.out = *s.pooled
	}
}

func (s *Stream) shut() {
	if s.out == nil {
		return
	}
	if cap(s.out) <= keepSize {
		*s.pooled = s.out[:0]
		outBuffers.Put(s.pooled)
	}
	s.out, s.pooled = nil, nil
}

// Flush writes what was gathered.
func (s *Stream) Flush() error {
	if len(s.out) == 0 && s.run == s.r {
		return nil
	}
	if s.before != nil {
		if err := s.before(); err != nil {
			return err
		}
	}
	if !s.locked {
		s.mu.Lock()
	}
	data := s.buf[s.run:s.r]
	if len(s.out) > 0 {
		s.settle()
		data = s.out
	}
	_, err := s.dst.Write(data)
	s.shut()
	s.run = s.r
	// A message of which a part was written must be completed before another
	// goroutine may write.
	s.locked = s.left > 0 && !s.dropping
	if !s.locked {
		s.mu.Unlock()
	}
	return err
}

// Send writes whole messages from another goroutine, between two messages of
// the stream, behind what it wrote.
func (s *Stream) Send(messages []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.dst.Write(messages)
	return err
}

// TrySend is Send where the stream is between two messages now; elsewhere it does nothing.
func (s *Stream) TrySend(messages []byte) error {
	if !s.mu.TryLock() {
		return nil
	}
	defer s.mu.Unlock()
	_, err := s.dst.Write(messages)
	return err
}

// need waits until n bytes are there to look at. Before it waits it writes.
func (s *Stream) need(n int) error {
	if s.more(n) {
		return nil
	}
	if err := s.Flush(); err != nil {
		return err
	}
	s.makeRoom(n)
	for s.w-s.r < n {
		if err := s.read(); err != nil {
			return err
		}
	}
	return nil
}

// more gets n bytes to look at without waiting and without writing, where the stream is busy, has
// something to write and has room for both. Where it reports false it may have got fewer.
func (s *Stream) more(n int) bool {
	if s.eager == nil || s.large == nil || !s.full || len(s.out) == 0 && s.run == s.r {
		return false
	}
	if s.run == s.r {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.run, s.r = 0, 0
	}
	for len(s.buf)-s.w >= eagerSize {
		got := s.eager.ReadNow(s.buf[s.w:])
		if got == 0 {
			return false
		}
		if s.w += got; s.w-s.r >= n {
			return true
		}
	}
	return false
}

// makeRoom chooses a buffer: the small one for a stream that has been quiet, a large
// one for a busy stream, one of its own for a message that must be held and is longer.
func (s *Stream) makeRoom(n int) {
	rest := s.buf[s.r:s.w]
	if cap(s.out) > keepSize && s.large == nil && len(s.out) == 0 {
		s.out = nil
	}
	switch {
	case n > largeSize:
		if n > len(s.buf) {
			s.change(make([]byte, n), nil)
			return
		}
	case s.full || n > smallSize || len(rest) > smallSize:
		if s.large == nil || len(s.buf) > largeSize {
			large := s.large
			if large == nil {
				large = largeBuffers.Get().(*[largeSize]byte)
			}
			s.change(large[:], large)
			return
		}
	case len(rest) == 0 && (s.large != nil || len(s.buf) > smallSize):
		s.rest()
		return
	}
	if s.r > 0 && (len(rest) == 0 || s.r+n > len(s.buf) || s.w == len(s.buf)) {
		copy(s.buf, rest)
		s.run, s.r, s.w = 0, 0, len(rest)
	}
}

// rest goes back to the small buffer, and gives back what only a busy stream needs.
func (s *Stream) rest() {
	s.change(s.small[:], nil)
	s.full = false
}

// change changes the buffer and keeps what was not looked at.
func (s *Stream) change(buf []byte, large *[largeSize]byte) {
	n := copy(buf, s.buf[s.r:s.w])
	if s.large != nil && s.large != large {
		largeBuffers.Put(s.large)
	}
	s.buf, s.large = buf, large
	s.run, s.r, s.w = 0, 0, n
}

// read reads once, or not at all. A stream that waits long with a large buffer gives it back.
func (s *Stream) read() error {
	idle := s.large != nil && s.r == s.w
	if idle {
		if now := time.Now(); s.deadline.Sub(now) < pause/2 {
			s.deadline = now.Add(pause)
			if err := s.src.SetReadDeadline(s.deadline); err != nil {
				return err
			}
		}
	}
	n, err := s.src.Read(s.buf[s.w:])
	s.w += n
	s.full = s.w == len(s.buf) || n > smallSize
	if n > 0 {
		return nil // the error, if any, comes again
	}
	if !s.deadline.IsZero() && errors.Is(err, os.ErrDeadlineExceeded) {
		if idle {
			s.rest()
		}
		return s.clearDeadline()
	}
	return err
}

func (s *Stream) clearDeadline() error {
	s.deadline = time.Time{}
	return s.src.SetReadDeadline(time.Time{})
}

// Close gives back the stream's buffers. It must not be used afterwards.
func (s *Stream) Close() {
	if s.large != nil {
		largeBuffers.Put(s.large)
	}
	s.large, s.buf, s.out = nil, nil, nil
	s.run, s.r, s.w = 0, 0, 0
	if s.locked {
		s.locked = false
		s.mu.Unlock()
	}
}
