package sealing

// lineEnd is how the first row ends, and with it all others.
type lineEnd byte

const (
	endUnknown lineEnd = iota
	endLF
	endCR
	endCRLF
)

// liner finds where rows of the formats text and csv end, as the server's
// CopyReadLineText does. It goes on where it stopped when more data comes.
type liner struct {
	csv           bool
	quote, escape byte
	end           lineEnd

	at          int // how far the row at hand has been looked at
	quoted      bool
	afterEscape bool
}

// line is what next finds.
type line struct {
	row  int  // length of the row
	size int  // with its end
	last bool // it was the end-of-copy marker, and no row; row is its length with its end
}

// next finds the row at the beginning of data; ok is false where it does not end
// there. final says that no more data comes: then what is there is a row.
func (l *liner) next(data []byte, final bool) (found line, ok bool, err error) {
	for l.at < len(data) {
		c := data[l.at]
		switch {
		case l.csv && l.inside(c):
			l.at++
			continue
		case c == '\\' && (!l.csv || l.at == 0):
			if wait, last, err := l.backslash(data, final); wait || last || err != nil {
				return line{row: markerSize(data), size: len(data), last: last}, last, err
			}
			continue
		case c != '\r' && c != '\n':
			l.at++
			continue
		}
		if c == '\r' && l.at+1 == len(data) && !final && l.end != endCR {
			return line{}, false, nil // a line feed may follow
		}
		return l.ended(data)
	}
	if !final || len(data) == 0 {
		return line{}, false, nil
	}
	l.begin()
	return line{row: len(data), size: len(data)}, true, nil
}

// begin makes ready for the next row.
func (l *liner) begin() { l.at, l.quoted, l.afterEscape = 0, false, false }

// inside follows quotes; it reports whether c is quoted.
func (l *liner) inside(c byte) bool {
	if l.quoted && c == l.escape && l.escape != l.quote {
		l.afterEscape = !l.afterEscape
	}
	if c == l.quote && !l.afterEscape {
		l.quoted = !l.quoted
		return true
	}
	if c != l.escape || l.escape == l.quote {
		l.afterEscape = false
	}
	return l.quoted
}

// backslash skips what is escaped, or finds the end-of-copy marker.
func (l *liner) backslash(data []byte, final bool) (wait, last bool, err error) {
	rest := data[l.at+1:]
	switch {
	case len(rest) == 0 && !final:
		return true, false, nil
	case len(rest) == 0 || rest[0] != '.':
		l.at++
		if !l.csv && len(rest) > 0 {
			l.at++ // whatever it is, a line's end too
		}
		return false, false, nil
	}
	after := rest[1:]
	switch {
	case !final && (len(after) == 0 || len(after) == 1 && after[0] == '\r'):
		return true, false, nil
	case l.at == 0 && l.endsHere(after):
		return false, true, nil
	case l.csv:
		l.at++ // data that begins so
		return false, false, nil
	}
	return false, false, badCopy("end-of-copy marker corrupt")
}

// markerSize is the length of the end-of-copy marker at the beginning of data, with the line's end.
func markerSize(data []byte) int {
	n := min(len(`\.`), len(data))
	if n < len(data) {
		n++
	}
	if n < len(data) && data[n-1] == '\r' && data[n] == '\n' {
		n++
	}
	return n
}

// endsHere says whether a row ends here as the others do.
func (l *liner) endsHere(after []byte) bool {
	switch {
	case len(after) == 0:
		return false
	case l.end == endCRLF:
		return len(after) > 1 && after[0] == '\r' && after[1] == '\n'
	case after[0] == '\n':
		return l.end != endCR
	}
	return after[0] == '\r' && l.end != endLF
}

// ended is called at a carriage return or line feed that is not quoted.
func (l *liner) ended(data []byte) (found line, ok bool, err error) {
	found = line{row: l.at, size: l.at + 1}
	kind := endLF
	if data[l.at] == '\r' {
		kind = endCR
		if l.end != endCR && l.at+1 < len(data) && data[l.at+1] == '\n' {
			kind = endCRLF
			found.size++
		}
	}
	switch {
	case l.end == endUnknown:
		l.end = kind
	case l.end == kind:
	case kind == endLF:
		return found, false, badCopy("literal newline found in data")
	default:
		return found, false, badCopy("literal carriage return found in data")
	}
	l.begin()
	return found, true, nil
}
