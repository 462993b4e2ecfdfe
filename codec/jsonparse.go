package codec

import (
	"bytes"
	"strconv"
)

func (p *jsonParser) skipSpace() {
	for p.pos < len(p.in) {
		switch p.in[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// next takes c when it is the next character.
func (p *jsonParser) next(c byte) bool {
	if p.pos < len(p.in) && p.in[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

// value parses one value; spaces before it are skipped already.
func (p *jsonParser) value(depth int) *fault {
	if p.pos == len(p.in) {
		return malformedJSON()
	}
	c := p.in[p.pos]
	if (c == '{' || c == '[') && depth == maxJSONDepth {
		return &fault{state: stateTooComplex, reason: "a jsonb document is nested at most " + strconv.Itoa(maxJSONDepth) + " levels deep"}
	}
	if len(p.pool) > p.limit {
		return documentTooLong()
	}
	switch c {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		raw, f := p.rawString()
		if f != nil {
			return f
		}
		p.pool, f = appendNormalString(p.pool, raw)
		return f
	case 't':
		return p.word("true")
	case 'f':
		return p.word("false")
	case 'n':
		return p.word("null")
	default:
		return p.number()
	}
}

func (p *jsonParser) word(w string) *fault {
	if !bytes.HasPrefix(p.in[p.pos:], []byte(w)) {
		return malformedJSON()
	}
	p.pos += len(w)
	p.pool = append(p.pool, w...)
	return nil
}

func (p *jsonParser) array(depth int) *fault {
	p.pos++
	p.pool = append(p.pool, '[')
	p.skipSpace()
	for first := true; !p.next(']'); first = false {
		if !first {
			if !p.next(',') {
				return malformedJSON()
			}
			p.pool = append(p.pool, ", "...)
			p.skipSpace()
		}
		if f := p.value(depth + 1); f != nil {
			return f
		}
		p.skipSpace()
	}
	p.pool = append(p.pool, ']')
	return nil
}

func (p *jsonParser) object(depth int) *fault {
	p.pos++
	p.skipSpace()
	if p.next('}') {
		p.pool = append(p.pool, "{}"...)
		return nil
	}
	p.flush()
	at := len(p.tape)
	p.tape = append(p.tape, piece{kind: object})
	for first := true; first || !p.next('}'); first = false {
		if !first {
			if !p.next(',') {
				return malformedJSON()
			}
			p.skipSpace()
		}
		if f := p.member(depth); f != nil {
			return f
		}
		p.skipSpace()
	}
	p.tape[at].end = uint32(len(p.tape))
	return nil
}

func (p *jsonParser) member(depth int) *fault {
	raw, f := p.rawString()
	if f != nil {
		return f
	}
	from := len(p.keys)
	if p.keys, f = appendDecoded(p.keys, raw); f != nil {
		return f
	}
	at := len(p.tape)
	p.tape = append(p.tape, piece{kind: member, from: uint32(from), to: uint32(len(p.keys))})
	if p.skipSpace(); !p.next(':') {
		return malformedJSON()
	}
	p.skipSpace()
	if f := p.value(depth + 1); f != nil {
		return f
	}
	p.flush()
	p.tape[at].end = uint32(len(p.tape))
	return nil
}

// flush puts the text written since the last piece on the tape.
func (p *jsonParser) flush() {
	if p.runStart < len(p.pool) {
		p.tape = append(p.tape, piece{kind: run, from: uint32(p.runStart), to: uint32(len(p.pool))})
		p.runStart = len(p.pool)
	}
}

// rawString takes a string without its quotes, escapes not yet decoded. The text is known to be UTF-8.
func (p *jsonParser) rawString() ([]byte, *fault) {
	if !p.next('"') {
		return nil, malformedJSON()
	}
	start := p.pos
	for ; p.pos < len(p.in); p.pos++ {
		switch c := p.in[p.pos]; {
		case c == '"':
			p.pos++
			return p.in[start : p.pos-1], nil
		case c == '\\':
			p.pos++
		case c < ' ':
			return nil, malformedJSON()
		}
	}
	return nil, malformedJSON()
}

// number parses JSON's grammar and writes numeric's text.
func (p *jsonParser) number() *fault {
	start := p.pos
	p.next('-')
	if !p.next('0') && p.digits() == 0 {
		return malformedJSON()
	}
	if p.next('.') && p.digits() == 0 {
		return malformedJSON()
	}
	if p.next('e') || p.next('E') {
		if !p.next('-') {
			p.next('+')
		}
		if p.digits() == 0 {
			return malformedJSON()
		}
	}
	d, ok := parseDecimal(string(p.in[start:p.pos]))
	if !ok {
		return malformedJSON()
	}
	if !d.fits() {
		return numericOverflow(Type{kind: kindNumeric})
	}
	if p.shortNumbers {
		d = d.shortest()
	}
	p.pool = d.appendText(p.pool)
	return nil
}

func (p *jsonParser) digits() (n int) {
	for p.pos < len(p.in) && p.in[p.pos] >= '0' && p.in[p.pos] <= '9' {
		p.pos++
		n++
	}
	return n
}
