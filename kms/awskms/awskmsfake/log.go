package awskmsfake

import (
	"maps"
	"slices"
)

// Call is one request as the log shows it, as CloudTrail would: never with
// plaintext.
type Call struct {
	Operation string
	// KeyARN is the key that was used, the destination key for ReEncrypt; ""
	// where the request did not get that far.
	KeyARN string
	// EncryptionContext is the request's, the destination's for ReEncrypt.
	EncryptionContext map[string]string
	// SourceKeyARN and SourceContext are set for ReEncrypt only.
	SourceKeyARN  string
	SourceContext map[string]string
	// Error is the error's type, "NotFoundException", or "" for success.
	Error string
}

// Calls returns how many requests for an operation have come, those that
// failed and the SDK's retries included. With "" it counts all operations.
func (f *Fake) Calls(operation string) int {
	f.cloud.mu.Lock()
	defer f.cloud.mu.Unlock()
	if operation != "" {
		return f.counts[operation]
	}
	total := 0
	for _, n := range f.counts {
		total += n
	}
	return total
}

// Log returns the requests that were answered, oldest first.
func (f *Fake) Log() []Call {
	f.cloud.mu.Lock()
	defer f.cloud.mu.Unlock()
	log := slices.Clone(f.log)
	for i := range log {
		log[i].EncryptionContext = maps.Clone(log[i].EncryptionContext)
		log[i].SourceContext = maps.Clone(log[i].SourceContext)
	}
	return log
}

// Reset empties the log and the counters.
func (f *Fake) Reset() {
	f.cloud.mu.Lock()
	defer f.cloud.mu.Unlock()
	f.log = nil
	clear(f.counts)
}
