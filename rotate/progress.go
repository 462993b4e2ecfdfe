package rotate

// Progress says how far a walk has come.
type Progress struct {
	Done   int // keys or rows dealt with, failed ones included
	Total  int // how many there were at the start
	Failed int // keys or values that could not be rewrapped
}

// report calls f, which may be nil.
func report(f func(Progress), p Progress) {
	if f != nil {
		f(p)
	}
}
