package rotate

import (
	"context"

	"github.com/rowseal/rowseal/field"
)

const (
	// pageBytes is about how many bytes of values a page has: each lies in memory several times over, read, opened,
	// sealed again, and in the message that writes it.
	pageBytes = 320 << 10
	// unweighed is how many rows a worker reads before it knows their size.
	unweighed = 250
)

// next says how many rows the next page may have: as many as the throttle lets begin, at once or, where rows are long, in
// several pages.
func (w *worker) next(ctx context.Context, hold func(reason string)) (limit int, err error) {
	if w.allowed == 0 {
		if w.allowed, err = w.throttle.wait(ctx, hold); err != nil {
			return 0, err
		}
	}
	room := unweighed
	if w.perRow > 0 {
		room = max(1, pageBytes/w.perRow)
	}
	limit = min(w.allowed, room)
	w.allowed -= limit
	return limit, nil
}

// weigh learns how long rows are. Where they become longer from one page to the next, that page is longer by as much.
func (w *worker) weigh(read []row) {
	if len(read) == 0 {
		return
	}
	n := 0
	for i := range read {
		for _, v := range read[i].values {
			n += len(v)
		}
		for _, v := range read[i].plain {
			switch v := v.(type) {
			case []byte:
				n += len(v)
			case string:
				n += len(v)
			case field.Binary:
				n += len(v)
			}
		}
	}
	w.perRow = max(1, n/len(read))
}
