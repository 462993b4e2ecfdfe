package relay

// SplitAll has every Query split that can be, whatever the size of its result.
func (s *Shared) SplitAll() *Shared {
	s.sizes.small = 0
	return s
}
