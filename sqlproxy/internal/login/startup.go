package login

import (
	"encoding/binary"
	"io"
	"maps"
	"slices"
	"strings"
)

// The newest protocol that the proxy speaks, which is 3.newestMinor.
const (
	majorVersion = 3
	newestMinor  = 2
)

// packet is one without a type byte: the version or request code, and what follows it.
type packet struct {
	code   uint32
	body   []byte
	cancel []byte // the key of a cancel request: process id, then secret
}

// packet reads a packet as clients send them before they are let in.
func (l *leg) packet() (packet, error) {
	var head [8]byte
	if _, err := io.ReadFull(l.in, head[:]); err != nil {
		return packet{}, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 8 || size > maxStartup {
		return packet{}, protocolError("invalid length of startup packet")
	}
	p := packet{code: binary.BigEndian.Uint32(head[4:]), body: make([]byte, size-8)}
	_, err := io.ReadFull(l.in, p.body)
	return p, err
}

// startup is a client's StartupMessage.
type startup struct {
	// minor is the protocol's minor version: what the client asked, at most newestMinor.
	minor int
	// parameters are all but the protocol's own options, in no order.
	parameters map[string]string
	// options are the names of protocol options, none of which the proxy knows.
	options        []string
	user, database string
	// newer is set where the client asked for a newer minor version than the proxy speaks.
	newer bool
}

// protocolOption begins the names of the protocol's own options.
const protocolOption = "_pq_."

// parseStartup reads a StartupMessage as the server does.
func parseStartup(p packet) (*startup, error) {
	major, minor := p.code>>16, int(p.code&0xffff)
	if major != majorVersion {
		return nil, &Error{SQLState: stateUnsupported, Message: "unsupported frontend protocol", Hint: "The proxy speaks protocol 3.0 to 3.2."}
	}
	s := &startup{minor: min(minor, newestMinor), newer: minor > newestMinor, parameters: map[string]string{}}
	for body := p.body; ; {
		name, rest, ok := cut(body)
		if !ok || name == "" && len(rest) != 0 {
			return nil, protocolError("invalid startup packet layout: expected terminator as last byte")
		}
		if name == "" {
			break
		}
		value, rest, ok := cut(rest)
		if !ok {
			return nil, protocolError("invalid startup packet layout: expected terminator as last byte")
		}
		body = rest
		if strings.HasPrefix(name, protocolOption) {
			s.options = append(s.options, name)
			continue
		}
		s.parameters[name] = value
	}
	s.user, s.database = s.parameters["user"], s.parameters["database"]
	if s.user == "" {
		return nil, unauthorized("no PostgreSQL user name specified in startup packet", "")
	}
	if s.database == "" {
		s.database = s.user
	}
	return s, nil
}

// append writes the StartupMessage for the server.
func (s *startup) append(dst []byte) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, majorVersion<<16|uint32(s.minor))
	for _, name := range slices.Sorted(maps.Keys(s.parameters)) {
		dst = append(append(dst, name...), 0)
		dst = append(append(dst, s.parameters[name]...), 0)
	}
	dst = append(dst, 0)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

// admit reads the StartupMessage and checks what can be said before the server is asked.
func (a *attempt) admit(p packet) (*startup, error) {
	s, err := parseStartup(p)
	if err != nil {
		return nil, err
	}
	if a.config.Encryption.Require && a.certificate == nil {
		return nil, unauthorized("the proxy takes encrypted connections only", "Connect with sslmode=require or stricter.")
	}
	if err := a.config.checkNames(s); err != nil {
		return nil, err
	}
	if err := a.config.Encryption.checkUser(a.client.certificate(), s.user); err != nil {
		return nil, err
	}
	if !a.config.AllowReplication && AsksReplication(s.parameters["replication"]) {
		return nil, &Error{
			SQLState: stateUnsupported, Message: "replication connections do not pass the proxy",
			Hint: "Connect to the server itself; its stream holds sealed values only.",
		}
	}
	if a.config.Admit != nil {
		if err := a.config.Admit(s.user, s.database); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// maxName is the length in bytes that names have at the server. Before PostgreSQL 17 it cuts longer ones, so that
// they stand for a user or a database of another name.
const maxName = 63

// checkNames refuses names that may stand for others at the server, where they decide anything.
func (c *Config) checkNames(s *startup) error {
	if !c.ExactNames && c.Terminated == nil && c.Encryption.ClientName == NoName {
		return nil
	}
	for what, name := range map[string]string{"user": s.user, "database": s.database} {
		if len(name) > maxName {
			return unauthorized("the name of the "+what+" is longer than 63 bytes", "The server would cut it; connect with the name that it has.")
		}
	}
	return nil
}

// AsksReplication reports whether the start-up parameter replication has any value but a false one,
// as the server reads booleans. What it would not read as one counts as asking.
func AsksReplication(value string) bool {
	if value == "" {
		return false
	}
	value = strings.ToLower(value)
	for _, word := range []string{"false", "no"} {
		if strings.HasPrefix(word, value) {
			return false
		}
	}
	return value != "0" && value != "off" && value != "of"
}

// negotiated makes the body of a NegotiateProtocolVersion; nil where there is nothing to say.
func (s *startup) negotiated() []byte {
	if !s.newer && len(s.options) == 0 {
		return nil
	}
	// libpq and the server disagree with the manual on the first field: both have the whole version.
	body := binary.BigEndian.AppendUint32(nil, majorVersion<<16|uint32(s.minor))
	body = binary.BigEndian.AppendUint32(body, uint32(len(s.options)))
	for _, name := range s.options {
		body = append(append(body, name...), 0)
	}
	return body
}

// negotiate settles version and options with the client, given the server's NegotiateProtocolVersion
// or nil. The server was sent no protocol options, so that it names none.
func (a *attempt) negotiateVersion(body []byte) error {
	if body != nil {
		if len(body) < 8 {
			return protocolError("invalid NegotiateProtocolVersion from the server")
		}
		version := binary.BigEndian.Uint32(body)
		if version>>16 == 0 {
			version |= majorVersion << 16 // the manual's form: the minor version alone
		}
		minor := int(version & 0xffff)
		if version>>16 != majorVersion || minor > a.startup.minor {
			return protocolError("the server negotiates a protocol that was not asked for")
		}
		a.startup.newer = true
		a.startup.minor = minor
	}
	if answer := a.startup.negotiated(); answer != nil {
		return a.client.send(msgNegotiate, answer)
	}
	return nil
}
