package awskmsfake

import (
	"net/http"
	"time"
)

// faults are what the fake was told to do wrong.
type faults struct {
	throttle int // requests still to throttle, under 0 for all
	fail     int // requests still to answer with 500, under 0 for all
	delay    time.Duration
	down     bool
	denied   map[string]bool
}

// next says what to do with the next request for an operation.
func (x *faults) next(operation string) (wait time.Duration, hangUp bool, err error) {
	switch {
	case x.down:
		return 0, true, nil
	case take(&x.fail):
		err = &apiError{Type: "KMSInternalException", Message: "injected", status: http.StatusInternalServerError}
	case take(&x.throttle):
		err = newError("ThrottlingException",
			"You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.")
	case x.denied[operation]:
		err = newError("AccessDeniedException",
			"User: arn:aws:iam::"+Account+":user/fake is not authorized to perform: kms:"+operation)
	}
	return x.delay, false, err
}

func take(n *int) bool {
	if *n == 0 {
		return false
	}
	if *n > 0 {
		*n--
	}
	return true
}

func (f *Fake) inject(change func(x *faults)) {
	f.cloud.mu.Lock()
	defer f.cloud.mu.Unlock()
	change(&f.faults)
}

// Throttle answers the next n requests with ThrottlingException: all of them
// when n is under 0, none from now on when it is 0. The SDK's retries are
// requests too.
func (f *Fake) Throttle(n int) { f.inject(func(x *faults) { x.throttle = n }) }

// Fail5xx answers the next n requests with status 500: all of them when n is
// under 0, none from now on when it is 0.
func (f *Fake) Fail5xx(n int) { f.inject(func(x *faults) { x.fail = n }) }

// Delay makes every request wait for d, until Delay(0). A request whose client
// goes away stops waiting.
func (f *Fake) Delay(d time.Duration) { f.inject(func(x *faults) { x.delay = d }) }

// Down closes the connection of every request without an answer, until Up.
func (f *Fake) Down() { f.inject(func(x *faults) { x.down = true }) }

// Up ends Down.
func (f *Fake) Up() { f.inject(func(x *faults) { x.down = false }) }

// Deny answers the named operations with AccessDeniedException. Without names
// it ends that.
func (f *Fake) Deny(operations ...string) {
	f.inject(func(x *faults) {
		x.denied = map[string]bool{}
		for _, name := range operations {
			x.denied[name] = true
		}
	})
}
