package codec

// EncodeText appends the canonical binary form of a value in PostgreSQL's text form: a parameter that a client sent
// in text format, or a literal of SQL without its quotes. The text is read as the server reads it with DateStyle
// ISO; a timestamptz needs a zone.
func (t Type) EncodeText(dst []byte, text string) ([]byte, error) {
	if !t.Valid() {
		return dst, invalidType(opEncode, "text")
	}
	var out []byte
	var f *fault
	if t.array {
		out, f = parseArrayText(t, dst, text)
	} else {
		out, f = opsOf(t.kind).parse(t, dst, text)
	}
	if f != nil {
		return dst, encodeError(t, "text", f)
	}
	return notNil(out), nil
}

// EncodeBinary appends the canonical binary form of a value in PostgreSQL's binary form, as a client sent it: it is
// checked, modifiers are applied, numerics are stripped of superfluous zeros and jsonb is normalised.
func (t Type) EncodeBinary(dst, wire []byte) ([]byte, error) {
	if !t.Valid() {
		return dst, invalidType(opEncode, "binary")
	}
	var out []byte
	var f *fault
	if t.array {
		out, f = receiveArray(t, dst, wire)
	} else {
		out, f = opsOf(t.kind).receive(t, dst, wire)
	}
	if f != nil {
		return dst, encodeError(t, "binary", f)
	}
	return notNil(out), nil
}

// AppendText appends the text form of the canonical binary form src, as the server writes it to a client with
// DateStyle ISO, IntervalStyle postgres, bytea_output hex and TimeZone UTC. The binary wire form is src itself.
func (t Type) AppendText(dst, src []byte) ([]byte, error) {
	if !t.Valid() {
		return dst, invalidType(opDecode, "text")
	}
	var out []byte
	var f *fault
	if t.array {
		out, f = appendArrayText(t, dst, src)
	} else {
		out, f = opsOf(t.kind).text(t, dst, src)
	}
	if f != nil {
		return dst, decodeError(t, "text", f)
	}
	return notNil(out), nil
}
