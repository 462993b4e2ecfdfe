//go:build goexperiment.runtimesecret

package secretmem

import "runtime/secret"

// Do calls f inside secret.Do. f must not start goroutines.
func Do(f func()) { secret.Do(f) }

// Erases reports whether memory used inside Do is erased.
func Erases() bool { return secret.Enabled() || probe() }

func probe() (inside bool) {
	secret.Do(func() { inside = secret.Enabled() })
	return inside
}
