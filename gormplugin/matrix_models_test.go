package gormplugin_test

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// The matrix runs every operation on two sets of models that differ in the
// tags of one struct only: sealedSecrets in the one, plainSecrets in the other.
type secrets interface{ sealedSecrets | plainSecrets }

type sealedSecrets struct {
	Name     string    `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	SSN      *string   `gorm:"serializer:rowseal;type:bytes" rowseal:"type=varchar(40)"`
	Birthday time.Time `gorm:"serializer:rowseal;type:bytes" rowseal:"type=date"`
	Notes    memo      `gorm:"serializer:rowseal;type:bytes" rowseal:"type=jsonb,key=row"`
	Secret   []byte    `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Height   int       `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
}

type plainSecrets struct {
	Name     string
	SSN      *string
	Birthday time.Time `gorm:"type:date"`
	Notes    memo      `gorm:"type:text"`
	Secret   []byte
	Height   int
}

// memo is a type that makes its own database values. GORM's serializers would
// do as well for the plain models, but not in joins without a match.
type memo notes

// Value is JSON.
func (m memo) Value() (driver.Value, error) {
	b, err := json.Marshal(m)
	return string(b), err
}

// Scan takes JSON.
func (m *memo) Scan(v any) error {
	switch v := v.(type) {
	case string:
		return json.Unmarshal([]byte(v), m)
	case []byte:
		return json.Unmarshal(v, m)
	}
	return fmt.Errorf("a memo from %T", v)
}

// human has every kind of association.
type human[S secrets] struct {
	ID        uint
	Secrets   S `gorm:"embedded"`
	City      string
	Photo     []byte
	CreatedAt time.Time
	UpdatedAt time.Time
	DeletedAt gorm.DeletedAt
	CompanyID *uint
	Company   *company[S]  `gorm:"foreignKey:CompanyID"`
	Passport  *passport[S] `gorm:"foreignKey:HumanID"`
	Pets      []animal[S]  `gorm:"foreignKey:OwnerID"`
	Notices   []notice[S]  `gorm:"polymorphic:Target;polymorphicValue:humans"`
}

func (human[S]) TableName() string { return "humans" }

type company[S secrets] struct {
	ID      uint
	Secrets S `gorm:"embedded"`
	Kind    string
	Staff   []human[S]  `gorm:"foreignKey:CompanyID"`
	Notices []notice[S] `gorm:"polymorphic:Target;polymorphicValue:companies"`
}

func (company[S]) TableName() string { return "companies" }

type passport[S secrets] struct {
	ID      uint
	HumanID *uint
	Secrets S `gorm:"embedded"`
	Country string
	Stamps  []stamp[S] `gorm:"foreignKey:PassportID"`
}

func (passport[S]) TableName() string { return "passports" }

type stamp[S secrets] struct {
	ID         uint
	PassportID *uint
	Secrets    S  `gorm:"embedded;embeddedPrefix:in_"`
	Out        *S `gorm:"embedded;embeddedPrefix:out_"`
	Port       string
}

func (stamp[S]) TableName() string { return "stamps" }

type animal[S secrets] struct {
	ID      uint
	OwnerID *uint
	Owner   *human[S] `gorm:"foreignKey:OwnerID"`
	Secrets S         `gorm:"embedded"`
	Species string
}

func (animal[S]) TableName() string { return "animals" }

type notice[S secrets] struct {
	ID         uint
	TargetID   uint
	TargetType string `gorm:"size:40"`
	Secrets    S      `gorm:"embedded"`
}

func (notice[S]) TableName() string { return "notices" }

// letter has a tenant.
type letter[S secrets] struct {
	ID      uint
	OrgID   string `gorm:"size:40" rowseal:"tenant"`
	Secrets S      `gorm:"embedded"`
	State   string
	Prefs   map[string]string `gorm:"serializer:json"`
}

func (letter[S]) TableName() string { return "letters" }

func matrixModels[S secrets]() []any {
	return []any{
		&company[S]{}, &human[S]{}, &passport[S]{}, &stamp[S]{}, &animal[S]{}, &notice[S]{}, &letter[S]{},
	}
}

// values returns secrets that differ by n.
func values[S secrets](n int) S {
	return S(plainSecrets{
		Name: fmt.Sprint(canary, " name ", n), SSN: ptr(fmt.Sprint(canary, " ssn ", n)),
		Birthday: time.Date(1990, 1, 1+n%28, 0, 0, 0, 0, time.UTC),
		Notes:    memo{Text: fmt.Sprint(canary, " note ", n), Tags: []string{"a", canary}},
		Secret:   fmt.Append(nil, canary, " bytes ", n), Height: 1000 + n,
	})
}

// named returns secrets with nothing but a name.
func named[S secrets](name string) S { return S(plainSecrets{Name: canary + " " + name}) }

func nameOf[S secrets](s S) string { return plainSecrets(s).Name }

func newHuman[S secrets](n int) human[S] {
	return human[S]{
		Secrets: values[S](n), City: fmt.Sprint("city ", n), Photo: []byte{0xff, 0, byte(n)},
	}
}

// hookLog is what hooks write down; it travels in the statement's context.
type hookLog struct {
	seen []string
	set  string // a name to give in BeforeSave
	fail string // the hook that fails
}

type hookedKey struct{}

func withHooks(ctx context.Context, h *hookLog) context.Context {
	return context.WithValue(ctx, hookedKey{}, h)
}

func (h *human[S]) note(tx *gorm.DB, hook string) error {
	log, _ := tx.Statement.Context.Value(hookedKey{}).(*hookLog)
	if log == nil {
		return nil
	}
	log.seen = append(log.seen, fmt.Sprint(hook, " ", nameOf(h.Secrets), " ", plainSecrets(h.Secrets).Height))
	if hook == "BeforeSave" && log.set != "" {
		tx.Statement.SetColumn("Name", log.set)
	}
	if hook == log.fail {
		return errHook
	}
	return nil
}

var errHook = fmt.Errorf("the hook refuses")

func (h *human[S]) BeforeSave(tx *gorm.DB) error   { return h.note(tx, "BeforeSave") }
func (h *human[S]) BeforeCreate(tx *gorm.DB) error { return h.note(tx, "BeforeCreate") }
func (h *human[S]) BeforeUpdate(tx *gorm.DB) error { return h.note(tx, "BeforeUpdate") }
func (h *human[S]) BeforeDelete(tx *gorm.DB) error { return h.note(tx, "BeforeDelete") }
func (h *human[S]) AfterCreate(tx *gorm.DB) error  { return h.note(tx, "AfterCreate") }
func (h *human[S]) AfterUpdate(tx *gorm.DB) error  { return h.note(tx, "AfterUpdate") }
func (h *human[S]) AfterSave(tx *gorm.DB) error    { return h.note(tx, "AfterSave") }
func (h *human[S]) AfterDelete(tx *gorm.DB) error  { return h.note(tx, "AfterDelete") }
func (h *human[S]) AfterFind(tx *gorm.DB) error    { return h.note(tx, "AfterFind") }
