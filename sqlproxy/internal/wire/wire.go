// Package wire frames PostgreSQL's messages by hand: type byte, length, body.
//
// [Stream] is one direction of a connection. It reads large chunks, and what
// is passed on unchanged is written from the same buffer, many messages in one
// write and without a copy. Bodies larger than the buffer are streamed, so
// that memory stays flat whatever their size.
package wire

import (
	"encoding/binary"
	"errors"
)

// HeaderSize is the size of a message's header: its type and its length.
const HeaderSize = 5

// maxBody is the longest body that PostgreSQL sends or takes.
const maxBody = 1<<30 - 1

// ErrFrame says that the peer sent bytes that are no message.
var ErrFrame = errors.New("invalid message: the length is out of range")

// ErrTooLong says that a message which must be held is longer than the limit.
// The message is still there, to be dropped.
var ErrTooLong = errors.New("message is too long to be held")

// ErrMalformed says that a message's body is not what its type asks for.
var ErrMalformed = errors.New("malformed message")

// AppendMessage appends a whole message.
func AppendMessage(dst []byte, typ byte, body ...string) []byte {
	dst, at := Begin(dst, typ)
	for _, part := range body {
		dst = append(dst, part...)
	}
	return End(dst, at)
}

// Begin appends a header whose length [End] fills in. at is for End.
func Begin(dst []byte, typ byte) (out []byte, at int) {
	dst = append(dst, typ, 0, 0, 0, 0)
	return dst, len(dst) - 4
}

// End sets the length of the message that Begin began.
func End(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

// AppendString appends a string and the zero byte that ends it.
func AppendString(dst []byte, s string) []byte {
	return append(append(dst, s...), 0)
}
