package awskms

import (
	"errors"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/rowseal/rowseal/kms"
)

func TestAge(t *testing.T) {
	e := start(t, nil)
	made, err := e.Age(t.Context())
	if err != nil || made.RootKey != e.key || made.Since.IsZero() || made.Automatic {
		t.Fatalf("a new key: %+v, %v", made, err)
	}
	days := int32(180)
	if _, err := e.fake.Client().EnableKeyRotation(t.Context(), &awssdk.EnableKeyRotationInput{KeyId: &e.key, RotationPeriodInDays: &days}); err != nil {
		t.Fatal(err)
	}
	if a, err := e.Age(t.Context()); err != nil || !a.Automatic || a.Period != 180*24*time.Hour || !a.Since.Equal(made.Since) {
		t.Errorf("with rotation enabled: %+v, %v", a, err)
	}
	e.fake.Rotate(e.key)
	if a, err := e.Age(t.Context()); err != nil || !a.Since.After(made.Since) || a.RootKey != e.key {
		t.Errorf("rotated: %+v, %v; it was made at %v", a, err, made.Since)
	}
	e.fake.Deny("GetKeyRotationStatus")
	if _, err := e.Age(t.Context()); !errors.Is(err, kms.ErrDenied) {
		t.Errorf("without the right: %v", err)
	}
}

// plain is a client without the requests for rotations.
type plain struct{ API }

func TestAgeOfAPlainClient(t *testing.T) {
	e := start(t, func(cfg *Config, _ *env) {
		cfg.Client, cfg.Region = plain{cfg.Client}, cfg.Client.(*awssdk.Client).Options().Region
	})
	a, err := e.Age(t.Context())
	if err != nil || a.Since.IsZero() {
		t.Errorf("got %+v, %v", a, err)
	}
}
