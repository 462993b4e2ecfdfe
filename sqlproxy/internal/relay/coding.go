package relay

import (
	"unicode/utf8"

	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// A text means what its bytes are in client_encoding, so that must be known before the text is read. The server
// reports it, but not before the answers that come ahead of what a text has set are all there.

// notReported is the coding of a session before the server has reported any.
const notReported = -1

// reported takes note of the ParameterStatus at hand.
func (v *serverSide) reported() error {
	prefix, err := v.in.Prefix(namePrefix)
	if err != nil {
		return err
	}
	c := wire.Cursor{Rest: prefix}
	if name, value := c.String(), c.String(); !c.Bad && string(name) == "client_encoding" {
		v.s.setCoding(string(value))
	}
	return nil
}

// setCoding takes note of the client's encoding, "" where it is not known.
func (s *session) setCoding(client string) {
	server := s.pair.Status["server_encoding"]
	if client == "" || server == "" {
		s.coding.Store(notReported)
		return
	}
	s.coding.Store(int32(parse.CodingOf(client, server)))
}

// coding gives what a text that is about to be sent is in. The server is asked where it may have changed and has
// not been reported.
func (c *clientSide) coding(text string) (parse.Coding, error) {
	reported := c.s.coding.Load()
	if !c.settings.moved && reported != notReported {
		return parse.Coding(reported), nil
	}
	if parse.ASCII(text) {
		return parse.UTF8, nil
	}
	if reported != notReported && !c.piped && c.s.queue.quiet() {
		// What a transaction has set, its end may take back.
		c.settings.moved = c.s.status.Load() != 'I'
		return parse.Coding(c.s.coding.Load()), nil
	}
	if c.inFailed() {
		return parse.AnyBytes, nil // there is nobody to ask
	}
	v, err := c.current()
	if err != nil {
		return parse.AnyBytes, err
	}
	return v.coding, nil
}

// codingAgain gives what a text is in that was read before, in the encoding that the session had then: those
// with characters beyond ASCII in their names, or where it was not known what they are, were not let through.
func codingAgain(text string) parse.Coding {
	if utf8.ValidString(text) {
		return parse.UTF8
	}
	return parse.HighBytes
}
