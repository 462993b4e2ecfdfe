package gormplugin_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"reflect"
	"sync"
	"testing"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"
)

// byHand is the GORM serializer that people write: AES-GCM under one static
// key, for strings. It knows no tenants, binds values to nothing and rotates
// no keys.
type byHand struct{ aead cipher.AEAD }

// Value seals.
func (s byHand) Value(_ context.Context, _ *schema.Field, _ reflect.Value, value any) (any, error) {
	text, ok := value.(string)
	if !ok {
		return nil, errors.New("a string is needed")
	}
	return s.aead.Seal(nil, nil, []byte(text), nil), nil
}

// Scan opens.
func (s byHand) Scan(ctx context.Context, f *schema.Field, dst reflect.Value, value any) error {
	sealed, ok := value.([]byte)
	if !ok {
		return errors.New("bytes are needed")
	}
	plain, err := s.aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return err
	}
	f.ReflectValueOf(ctx, dst).SetString(string(plain))
	return nil
}

// registerByHand makes it known as the serializer byhand.
var registerByHand = sync.OnceFunc(func() {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	schema.RegisterSerializer("byhand", byHand{aead})
})

type byHandRow struct {
	ID      uint
	Name    string `gorm:"serializer:byhand;type:bytes"`
	SSN     string `gorm:"serializer:byhand;type:bytes"`
	City    string
	Country string
	Age     int
}

// sealedFields is how many sealed fields a benchmark's page of rows has.
const sealedFields = 2 * benchRows

func TestASealedFieldCostsAtMostTwoAllocationsMoreThanByHand(t *testing.T) {
	registerByHand()
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			l := newLab(t, kind, func(c *gorm.Config) { c.Logger = logger.Discard })
			must(t, l.AutoMigrate(&byHandRow{}, &sealedRow{}))
			_, sealed := benchData()
			byHand := make([]byHandRow, len(sealed))
			for i, r := range sealed {
				byHand[i] = byHandRow{Name: r.Name, SSN: r.SSN, City: r.City, Country: r.Country, Age: r.Age}
			}
			compare := func(what string, floor, subject func() error) {
				x, y := allocations(t, floor), allocations(t, subject)
				more := (y - x) / sealedFields
				t.Logf("%s of %d rows: by hand %.0f allocations, sealed %.0f: %+.2f for each sealed field", what, benchRows, x, y, more)
				if more > 2 {
					t.Errorf("%s: %.2f allocations more for each sealed field than by hand; 2 are allowed", what, more)
				}
			}
			compare("create",
				func() error {
					rows := append([]byHandRow(nil), byHand...)
					return l.CreateInBatches(&rows, benchRows).Error
				},
				func() error {
					rows := append([]sealedRow(nil), sealed...)
					return l.CreateInBatches(&rows, benchRows).Error
				},
			)
			compare("read",
				func() error { var rows []byHandRow; return l.Limit(benchRows).Find(&rows).Error },
				func() error { var rows []sealedRow; return l.Limit(benchRows).Find(&rows).Error },
			)
		})
	}
}

func allocations(t *testing.T, f func() error) float64 {
	t.Helper()
	return testing.AllocsPerRun(5, func() { must(t, f()) })
}
