package rotate

import "time"

// Progress says how far a job has come.
type Progress struct {
	Done   int // keys or rows dealt with, failed ones included
	Total  int // how many there were at the start, or an estimate; 0 where it is not known
	Failed int // keys or values that could not be dealt with

	// What follows is for jobs over rows.

	// Rate is rows a second, of this process, lately.
	Rate float64
	// Left is the time that the rest will take at this rate; 0 where it is not known.
	Left time.Duration
	// Held says why the job is waiting: "replica 10.0.0.7 is 12 MB behind",
	// "paused by ann"; "" where it is not.
	Held string
	// Lag is the furthest replica's, in bytes; -1 where there is none or it is not asked for.
	Lag int64
	// Counts are the job's counts so far, by name, as in [Result].
	Counts map[string]int64
}

// report calls f, which may be nil.
func report(f func(Progress), p Progress) {
	if f != nil {
		f(p)
	}
}
