package login

import "testing"

func TestServerAtFault(t *testing.T) {
	c := &Config{}
	for _, tt := range []struct {
		name string
		err  *Error
		want bool
	}{
		{"does not answer", c.serverError("does not answer", nil), true},
		{"too many clients", &Error{SQLState: "53300", told: true}, true},
		{"starting up", &Error{SQLState: "57P03", told: true}, true},
		{"a wrong password", &Error{SQLState: "28P01", told: true}, false},
		{"no such database", &Error{SQLState: "3D000", told: true}, false},
		{"the proxy's own limit", &Error{SQLState: "53300"}, false},
		{"the proxy stops", &Error{SQLState: "57P03"}, false},
		{"an error without a state", &Error{told: true}, false},
	} {
		if got := tt.err.ServerAtFault(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
