package demo

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// page is the demonstration's text. A reader that went away ends nothing: the
// server must still be stopped.
type page struct {
	out      io.Writer
	sections int
}

// width is a terminal's.
const width = 80

func (p *page) line(format string, args ...any) {
	fmt.Fprintf(p.out, strings.TrimRight(format, " ")+"\n", args...)
}

func (p *page) section(format string, args ...any) {
	p.sections++
	title := fmt.Sprintf("%d. %s", p.sections, fmt.Sprintf(format, args...))
	p.line("")
	p.line("%s", title)
	p.line("%s", strings.Repeat("─", utf8.RuneCountInString(title)))
}

// wrapped prints text in lines that fit, behind an indent.
func (p *page) wrapped(indent, text string) {
	line := indent
	for _, word := range strings.Fields(text) {
		if line != indent && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			p.line("%s", line)
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	p.line("%s", line)
}

// count writes n with commas.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func rate(n int, d time.Duration) string { return count(int(float64(n) / d.Seconds())) }

// short writes a duration with one digit that matters.
func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
