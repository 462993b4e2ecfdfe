package codec

// canonicalJSON appends the document as jsonb prints it, but with numbers as numeric compares them: 1.0 is 1.
// Order of keys, duplicates, spaces and escapes are settled by normalising.
func canonicalJSON(t Type, dst, plain []byte) ([]byte, *fault) {
	if len(plain) == 0 || plain[0] != jsonbVersion {
		return dst, malformedBinary(t)
	}
	p := jsonParser{limit: maxDocument, in: plain[1:], shortNumbers: true}
	out, f := p.normalise(dst)
	if f != nil {
		return dst, malformedBinary(t)
	}
	return out, nil
}

// shortest gives d the least scale that shows all its digits.
func (d decimal) shortest() decimal {
	d.scale = max(0, len(d.digits)-d.point)
	return d
}
