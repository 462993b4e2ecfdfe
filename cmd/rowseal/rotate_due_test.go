package main

import (
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmscount"
	"github.com/rowseal/rowseal/kms/localkms"
)

// TestDueRootKeys: what is said of root keys by who rotates them.
func TestDueRootKeys(t *testing.T) {
	const day = 24 * time.Hour
	file, service := localkms.Memory(), kmscount.New(localkms.Memory()) // the second cannot be rotated from here
	old := time.Now().Add(-100 * day)
	for _, tt := range []struct {
		name      string
		root      kms.KMS
		age       kms.Age
		due, left int
		says      string
	}{
		{"a young key", service, kms.Age{Since: time.Now()}, 0, 0, "is 0s old"},
		{"an old key file", file, kms.Age{Since: old}, 1, 0, "is due: it is 100 days old, and 90 days are allowed."},
		{"an old key of a service", service, kms.Age{Since: old}, 0, 1, "rotate it in its service"},
		{"a key that its service rotates", service, kms.Age{Since: old, Automatic: true, Period: 90 * day}, 0, 0, "every 90 days; there is nothing to rewrap"},
		{"a key that its service rotates too seldom", service, kms.Age{Since: time.Now(), Automatic: true, Period: 365 * day}, 0, 1, "only every 365 days, and 90 days are allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var j dueJob
			var out strings.Builder
			c := newRotateDue()
			c.SetOut(&out)
			tt.age.RootKey = "arn:root"
			j.judge(c, &session{file: &field.File{}, roots: []kms.KMS{tt.root}}, 0, tt.age, 90*day)
			if len(j.roots) != tt.due || j.left != tt.left || !strings.Contains(out.String(), tt.says) || !strings.Contains(out.String(), "arn:root") {
				t.Errorf("%d due, %d left, %q", len(j.roots), j.left, out.String())
			}
		})
	}
}

func TestDueAsksEachRootKey(t *testing.T) {
	var j dueJob
	var out strings.Builder
	c := newRotateDue()
	c.SetOut(&out)
	c.SetContext(t.Context())
	file := &field.File{Keys: field.Keys{KMS: []string{"local:///a", "other:///b"}}, Rotation: field.Rotation{RootKey: time.Hour}}
	s := &session{file: file, roots: []kms.KMS{localkms.Memory(), kmscount.New(localkms.Memory())}}
	if err := j.findRoots(c, s); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "/1 is ") || !strings.Contains(out.String(), "other:///b: this provider does not say how old its key is") {
		t.Errorf("it says %q", out.String())
	}
}
