package rotate

import "time"

const (
	// minPage is the fewest rows to which pages shrink, Config.PageSize permitting.
	minPage = 50
	// firstPage is where pages begin that grow and shrink.
	firstPage = 250
	// usualPage is Config.PageSize where that is 0.
	usualPage = 2000
	// maxRests bounds the pauses that are kept for workers; there are 64 workers at most.
	maxRests = 64
)

// pace is how fast the workers of a process go when nothing holds them: the size of pages, the rows a second,
// and the pauses behind pages.
type pace struct {
	max  int // rows of a page, from Config.PageSize
	size int // rows of a page, now

	// debt is the rows that were begun and that the rate does not cover yet; at is when it was so. It is in
	// rows and not a time, so that a change of the rate counts at once.
	debt float64
	at   time.Time

	rests []rest
}

// rest is the pause due behind a page.
type rest struct {
	since time.Time
	took  time.Duration // of the page, in the database
}

// begin takes a page of rows, or says how long to wait before asking again. A page begins when all rows begun
// before it are covered, and has at most a second's rows: in any t seconds, at most
// RowsPerSecond * (t + 1) rows begin.
func (p *pace) begin(l *Limits, now time.Time) (rows int, wait time.Duration) {
	if l.RowsPerSecond == 0 {
		p.debt = 0
		return p.page(l), 0
	}
	rate := float64(l.RowsPerSecond)
	if elapsed := now.Sub(p.at).Seconds(); elapsed > 0 {
		p.debt = max(0, p.debt-elapsed*rate)
	}
	p.at = now
	if p.debt > 0 {
		return 0, time.Duration(p.debt/rate*float64(time.Second)) + 1 // rounded up, so that waiting pays it off
	}
	rows = min(p.page(l), l.RowsPerSecond)
	p.debt = float64(rows)
	return rows, 0
}

func (p *pace) page(l *Limits) int {
	if l.PageTime == 0 {
		return p.max
	}
	return p.size
}

// end learns from a page. A page that took too long halves the size, one that was quick lets
// it grow by a tenth; between them it stays or is corrected by little.
func (p *pace) end(l *Limits, rows int, took time.Duration, now time.Time) {
	if l.Share > 0 && l.Share < 1 {
		if len(p.rests) == maxRests {
			p.rests = append(p.rests[:0], p.rests[1:]...)
		}
		p.rests = append(p.rests, rest{now, took})
	}
	if l.PageTime == 0 || 2*rows < p.size {
		return // a short page, the last of a range, says little
	}
	// From the page's rows and not from the size, so that two slow pages of two workers halve it once.
	var target int
	switch ratio := float64(took) / float64(l.PageTime); {
	case ratio > 1.5:
		target = min(p.size, rows/2)
	case ratio > 1.1:
		target = min(p.size, int(float64(rows)/ratio))
	case ratio < 0.9:
		target = max(p.size, rows+max(1, rows/10))
	default:
		return
	}
	p.size = max(min(target, p.max), min(minPage, p.max))
}

// takeRest returns the pause that is due, the latest first: workers wait right behind their page, so
// that it is nearly always their own, and the sum is right in any case.
func (p *pace) takeRest() rest {
	n := len(p.rests)
	if n == 0 {
		return rest{}
	}
	r := p.rests[n-1]
	p.rests = p.rests[:n-1]
	return r
}
