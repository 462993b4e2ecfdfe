package keyring_test

import (
	"testing"
	"testing/cryptotest"
	"testing/synctest"
)

// bubble is synctest.Test for code that draws random numbers. Under GODEBUG=fips140=only a generator gathers its first entropy from how long
// things take, and in a bubble no time passes: now and then one would be made there, and fail.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, 1)
	synctest.Test(t, f)
}
