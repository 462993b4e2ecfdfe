package codec

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Limits of documents. The size is PostgreSQL's own (JENTRY_OFFLENMASK); the depth is encoding/json's, which the
// server's default stack allows too.
const (
	maxDocument  = 1<<28 - 1
	maxJSONDepth = 10000
)

func malformedJSON() *fault {
	return &fault{state: stateText, reason: "the text is not a valid JSON document"}
}

// normaliseJSON appends doc as jsonb prints it: one space after each colon and comma, keys ordered by length and
// then by bytes, of equal keys the last one's value, strings with the fewest escapes, numbers as numeric.
//
// Time and memory are linear in the size of the document and of its result. One pass parses and writes everything
// but the objects, which may have to be put in order, into a pool; a tape notes where each object's members are. A
// second pass walks the tape.
func normaliseJSON(dst, doc []byte) ([]byte, *fault) {
	return normaliseWithin(maxDocument, dst, doc)
}

// normaliseWithin bounds the size of the document and of its result, which numbers with exponents can make much
// larger.
func normaliseWithin(limit int, dst, doc []byte) ([]byte, *fault) {
	p := jsonParser{limit: limit, in: doc}
	return p.normalise(dst)
}

// normalise appends the whole of p.in.
func (p *jsonParser) normalise(dst []byte) ([]byte, *fault) {
	if len(p.in) > p.limit {
		return dst, documentTooLong()
	}
	if !utf8.Valid(p.in) {
		return dst, &fault{state: stateCharacters, reason: "a JSON document is valid UTF-8"}
	}
	p.pool = make([]byte, 0, len(p.in)+len(p.in)/8)
	p.skipSpace()
	if f := p.value(0); f != nil {
		return dst, f
	}
	if p.skipSpace(); p.pos != len(p.in) {
		return dst, malformedJSON()
	}
	p.flush()
	out := p.emit(dst, 0, len(p.tape))
	if len(out)-len(dst) > p.limit {
		return dst, documentTooLong()
	}
	return out, nil
}

func documentTooLong() *fault {
	return &fault{state: stateLimit, reason: "a jsonb document is at most " + strconv.Itoa(maxDocument) + " bytes when normalised"}
}

// piece is one entry of the tape. A run is finished text, pool[from:to]. An object is followed by its members up to
// tape[end]; a member has its key at keys[from:to] and is followed by the pieces of its value up to tape[end].
type piece struct {
	kind     pieceKind
	from, to uint32
	end      uint32
}

type pieceKind uint8

const (
	run pieceKind = iota
	object
	member
)

type jsonParser struct {
	limit        int
	in           []byte
	shortNumbers bool // numbers without zeros at the end of their fraction
	pos          int
	pool         []byte // finished text outside of objects' own braces, keys and commas
	keys         []byte // decoded keys
	tape         []piece
	runStart     int // where in pool the run begins that is not on the tape yet
}

// emit writes the pieces tape[from:to].
func (p *jsonParser) emit(dst []byte, from, to int) []byte {
	for i := from; i < to; {
		if p.tape[i].kind == run {
			dst = append(dst, p.pool[p.tape[i].from:p.tape[i].to]...)
			i++
			continue
		}
		dst = append(dst, '{')
		for n, m := range p.members(i) {
			if n > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(appendJSONString(dst, p.key(m)), ": "...)
			dst = p.emit(dst, int(m)+1, int(p.tape[m].end))
		}
		dst = append(dst, '}')
		i = int(p.tape[i].end)
	}
	return dst
}

func (p *jsonParser) key(m uint32) []byte { return p.keys[p.tape[m].from:p.tape[m].to] }

// members lists the members of the object at tape[at] in jsonb's order, each key once.
func (p *jsonParser) members(at int) []uint32 {
	var list []uint32
	for m := uint32(at + 1); m < p.tape[at].end; m = p.tape[m].end {
		list = append(list, m)
	}
	compare := func(a, b uint32) int {
		x, y := p.key(a), p.key(b)
		if len(x) != len(y) {
			return cmp.Compare(len(x), len(y))
		}
		return bytes.Compare(x, y)
	}
	slices.SortStableFunc(list, compare)
	unique := list[:0]
	for i, m := range list {
		if i+1 < len(list) && compare(m, list[i+1]) == 0 {
			continue // a later member has the same key
		}
		unique = append(unique, m)
	}
	return unique
}
