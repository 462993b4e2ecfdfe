package rotate

// shorter is limit, or less where a page has just met a row that somebody else keeps locked.
func (w *worker) shorter(limit int) int {
	if w.short >= limit {
		w.short = 0
	}
	if w.short == 0 {
		return limit
	}
	return w.short
}

// locked makes pages shorter where one of limit rows waited for a lock in vain, down to the one row that is locked: while it
// waits, a page keeps the rows that it has written from others. Pages grow again as they get through.
func (w *worker) locked(limit int, err error) {
	const by = 8
	if stateOf(err) == "55P03" {
		w.short = max(1, limit/by)
	}
}
