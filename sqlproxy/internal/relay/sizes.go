package relay

import "sync/atomic"

const (
	// smallResult is how long a result is, in bytes of its rows, below which it is not worth to split a Query: the
	// server takes 4 µs longer to carry out one of a single row, and half a microsecond less for each row of two sealed values.
	smallResult = 3 << 10
	// sizeSlots is how many texts are remembered.
	sizeSlots = 1024
)

// sizes remembers which texts had small results when they were last run. A text stands for all that differ from it
// in numbers and strings. Texts that share a slot forget each other, which costs a little time and nothing else.
type sizes struct {
	small int
	slots [sizeSlots]atomic.Uint64 // the shape of a text whose result was small
}

// isSmall reports whether a small result is likely.
func (s *sizes) isSmall(shape uint64) bool { return s.slots[shape%sizeSlots].Load() == shape }

// learn takes note of the size of a result; text is set where its values came as text.
func (s *sizes) learn(shape uint64, size int, text bool) {
	if text {
		size /= 2
	}
	slot := &s.slots[shape%sizeSlots]
	switch known := slot.Load() == shape; {
	case size < s.small && !known:
		slot.Store(shape)
	case size >= s.small && known:
		slot.Store(0)
	}
}

// shapeOf gives a hash (FNV-1a) of a text without its digits and what stands in quotes. It is not 0.
func shapeOf(text string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	quoted := false
	for i := range len(text) {
		b := text[i]
		if b == '\'' {
			quoted = !quoted
		}
		if quoted || b >= '0' && b <= '9' {
			continue
		}
		h = (h ^ uint64(b)) * prime
	}
	return max(h, 1)
}
