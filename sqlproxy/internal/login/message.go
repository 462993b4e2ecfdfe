package login

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
)

const (
	// maxStartup is the longest start-up packet, as the server has it.
	maxStartup = 10000
	// maxAnswer is the longest message of a client that is not logged in, as the server has it.
	maxAnswer = 65535
	// maxServer bounds a message of the server during login; notices of login triggers are the long ones.
	maxServer = 1 << 20
)

// Messages by their type byte; those of requests carry their number where a version would stand.
const (
	msgAuthentication  = 'R'
	msgBackendKey      = 'K'
	msgParameterStatus = 'S'
	msgError           = 'E'
	msgNotice          = 'N'
	msgNegotiate       = 'v'
	msgReady           = 'Z'
	msgPassword        = 'p'
)

const (
	authOK                  = 0
	authCleartext           = 3
	authMD5                 = 5
	authSASL                = 10
	authSASLContinue        = 11
	authSASLFinal           = 12
	codeCancel       uint32 = 80877102
	codeSSL          uint32 = 80877103
	codeGSS          uint32 = 80877104
)

// leg is one side's connection, read through a buffer.
type leg struct {
	conn net.Conn
	in   *bufio.Reader
}

func newLeg(conn net.Conn) *leg {
	return &leg{conn: conn, in: bufio.NewReaderSize(conn, 4096)}
}

// private reports whether nobody on a network can read along.
func (l *leg) private() bool {
	if _, encrypted := l.conn.(*tls.Conn); encrypted {
		return true
	}
	remote, network := l.conn.RemoteAddr().(*net.TCPAddr)
	return !network || remote.IP.IsLoopback()
}

// rest returns what was read and not used.
func (l *leg) rest() []byte {
	rest, _ := l.in.Peek(l.in.Buffered()) // never more than is there
	return append([]byte(nil), rest...)
}

// message reads one message with a type byte, whose body has at most limit bytes.
func (l *leg) message(limit int) (byte, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(l.in, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size < 4 || size-4 > uint32(limit) {
		return 0, nil, protocolError("invalid message length")
	}
	body := make([]byte, size-4)
	_, err := io.ReadFull(l.in, body)
	return head[0], body, err
}

func (l *leg) send(kind byte, body []byte) error {
	_, err := l.conn.Write(appendMessage(nil, kind, body))
	return err
}

func appendMessage(dst []byte, kind byte, body []byte) []byte {
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)+4))
	return append(dst, body...)
}

// authentication makes the body of an authentication request.
func authentication(code uint32, data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, code), data...)
}

// cut takes a zero-terminated string off the front of b.
func cut(b []byte) (text string, rest []byte, ok bool) {
	for i, c := range b {
		if c == 0 {
			return string(b[:i]), b[i+1:], true
		}
	}
	return "", nil, false
}
