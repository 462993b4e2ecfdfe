package codec

import (
	"math"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// arrayElement is an element as it stood in the text; null only when it stood there without quotes.
type arrayElement struct {
	text string
	null bool
}

// arrayText parses array_in's grammar. The elements are collected first, because the dimensions are known only
// at the end and come first in the binary form.
type arrayText struct {
	t       Type
	s       string
	leaf    int                  // the level on which elements stand, -1 while unknown
	lengths [maxDimensions]int32 // of each level, once one {…} of it has closed
	elems   []arrayElement
}

func parseArrayText(t Type, dst []byte, s string) ([]byte, *fault) {
	p := arrayText{t: t, s: s, leaf: -1}
	bounds, f := p.bounds()
	if f != nil {
		return dst, f
	}
	if f := p.level(0); f != nil {
		return dst, f
	}
	if p.skip(); p.s != "" {
		return dst, arrayFormat(t)
	}
	dims := p.dimensions()
	if bounds != nil {
		if !sameShape(bounds, dims) {
			return dst, arrayFormat(t)
		}
		dims = bounds
	}
	w, f := newArrayWriter(t, dst, dims)
	if f != nil {
		return dst, f
	}
	for _, e := range p.elems {
		f := w.add(func(dst []byte) ([]byte, *fault) {
			if e.null {
				return dst, nullFault()
			}
			return opsOf(w.elem.kind).parse(w.elem, dst, e.text)
		})
		if f != nil {
			return dst, f
		}
	}
	return w.dst, nil
}

func (p *arrayText) dimensions() []pgtype.ArrayDimension {
	var dims []pgtype.ArrayDimension
	for _, n := range p.lengths[:p.leaf+1] {
		dims = append(dims, pgtype.ArrayDimension{Length: n, LowerBound: 1})
	}
	return dims
}

func sameShape(a, b []pgtype.ArrayDimension) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Length != b[i].Length {
			return false
		}
	}
	return true
}

func (p *arrayText) skip() { p.s = strings.TrimLeft(p.s, spaces) }

func (p *arrayText) take(c byte) bool {
	if p.s == "" || p.s[0] != c {
		return false
	}
	p.s = p.s[1:]
	return true
}

// bounds reads [low:high]…= when it is there.
func (p *arrayText) bounds() ([]pgtype.ArrayDimension, *fault) {
	var dims []pgtype.ArrayDimension
	for p.skip(); p.take('['); p.skip() {
		inside, rest, ok := strings.Cut(p.s, "]")
		low, high, ranged := strings.Cut(inside, ":")
		if !ranged {
			low, high = "1", inside
		}
		l, err1 := strconv.ParseInt(strings.Trim(low, spaces), 10, 32)
		h, err2 := strconv.ParseInt(strings.Trim(high, spaces), 10, 32)
		if ok && err1 == nil && err2 == nil && h < l {
			f := arrayFormat(p.t)
			f.state = stateSubscript
			return nil, f
		}
		if !ok || err1 != nil || err2 != nil || h == math.MaxInt32 || h-l >= math.MaxInt32 {
			return nil, arrayFormat(p.t)
		}
		if len(dims) == maxDimensions {
			return nil, arrayTooLarge()
		}
		dims = append(dims, pgtype.ArrayDimension{Length: int32(h - l + 1), LowerBound: int32(l)})
		p.s = rest
	}
	if dims != nil {
		if !p.take('=') {
			return nil, arrayFormat(p.t)
		}
		p.skip()
	}
	return dims, nil
}

// level reads one {…}. The first one that closes on a level fixes that level's length; the others must agree. Only
// the whole array may be empty.
func (p *arrayText) level(depth int) *fault {
	if depth == maxDimensions {
		return arrayTooLarge()
	}
	if !p.take('{') {
		return arrayFormat(p.t)
	}
	n := int32(0)
	for p.skip(); !p.take('}'); p.skip() {
		if n > 0 {
			if !p.take(',') {
				return arrayFormat(p.t)
			}
			p.skip()
		}
		if f := p.item(depth); f != nil {
			return f
		}
		n++
	}
	if n == 0 && depth == 0 {
		return nil
	}
	if have := p.lengths[depth]; n == 0 || (have != 0 && have != n) {
		return arrayFormat(p.t)
	}
	p.lengths[depth] = n
	return nil
}

// item is either a nested array or an element; all elements stand on the same level.
func (p *arrayText) item(depth int) *fault {
	if strings.HasPrefix(p.s, "{") {
		return p.level(depth + 1) // below the level of the elements it finds them on the wrong one, or is empty
	}
	if p.leaf >= 0 && depth != p.leaf {
		return arrayFormat(p.t)
	}
	e, f := p.element()
	if f != nil {
		return f
	}
	p.leaf = depth
	p.elems = append(p.elems, e)
	return nil
}

// element reads a quoted or a plain element.
func (p *arrayText) element() (arrayElement, *fault) {
	if p.take('"') {
		return p.quoted()
	}
	var b strings.Builder
	end, escaped := 0, false // end: length without spaces at the end; an escaped space counts as text
	for p.s != "" && p.s[0] != ',' && p.s[0] != '}' {
		c := p.s[0]
		p.s = p.s[1:]
		switch {
		case c == '"' || c == '{':
			return arrayElement{}, arrayFormat(p.t)
		case c == '\\':
			if p.s == "" {
				return arrayElement{}, arrayFormat(p.t)
			}
			b.WriteByte(p.s[0])
			p.s = p.s[1:]
			end, escaped = b.Len(), true
		default:
			b.WriteByte(c)
			if !strings.ContainsRune(spaces, rune(c)) {
				end = b.Len()
			}
		}
	}
	text := b.String()[:end]
	if text == "" {
		return arrayElement{}, arrayFormat(p.t)
	}
	return arrayElement{text: text, null: !escaped && strings.EqualFold(text, "NULL")}, nil
}

func (p *arrayText) quoted() (arrayElement, *fault) {
	var b strings.Builder
	for p.s != "" {
		c := p.s[0]
		p.s = p.s[1:]
		if c == '"' {
			return arrayElement{text: b.String()}, nil
		}
		if c == '\\' && p.s != "" {
			c, p.s = p.s[0], p.s[1:]
		}
		b.WriteByte(c)
	}
	return arrayElement{}, arrayFormat(p.t)
}
