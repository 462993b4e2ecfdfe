package secretmem

import "testing"

func TestDoRunsTheFunctionOnceBeforeItReturns(t *testing.T) {
	calls := 0
	Do(func() { calls++ })
	if calls != 1 {
		t.Fatalf("the function ran %d times, want 1", calls)
	}
}

func TestDoLetsAPanicThrough(t *testing.T) {
	defer func() {
		if got := recover(); got != "boom" {
			t.Fatalf("recovered %v, want boom", got)
		}
	}()
	Do(func() { panic("boom") })
	t.Fatal("the panic was swallowed")
}

func TestDoMayBeNested(t *testing.T) {
	inner := false
	Do(func() { Do(func() { inner = true }) })
	if !inner {
		t.Fatal("the inner function did not run")
	}
}
