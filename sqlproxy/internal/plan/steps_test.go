package plan

import "testing"

// TestStepsAreBounded: what would take too long to look at is refused.
func TestStepsAreBounded(t *testing.T) {
	a := &analyzer{steps: maxSteps - 1}
	if !a.step() {
		t.Fatal("refused before the bound")
	}
	if a.step() || a.refusal == nil || a.refusal.SQLState != "54001" {
		t.Errorf("got %v", a.refusal)
	}
	a.dry(func() {})
	if a.refusal == nil {
		t.Error("a look ahead forgot the refusal")
	}
}
