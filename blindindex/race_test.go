//go:build race

package blindindex_test

// raceEnabled: the race detector makes sync.Pool drop things at random.
const raceEnabled = true
