package sqlstore

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
)

// The longest texts that are stored, in bytes.
const (
	maxTenant = 255
	maxNote   = 1024 // ChangedBy and Reason
)

// row is a record as the table has it.
type row struct {
	id, tenant, purpose  string
	version              int64
	state                string
	parent               sql.NullString
	commitment           []byte
	wraps                string
	createdAt, changedAt int64 // microseconds since the epoch
	changedBy, reason    string
}

// fields are what to scan into, in the order of columns.
func (w *row) fields() []any {
	return []any{
		&w.id, &w.tenant, &w.purpose, &w.version, &w.state, &w.parent, &w.commitment, &w.wraps,
		&w.createdAt, &w.changedAt, &w.changedBy, &w.reason,
	}
}

// record checks everything in w: rows may come from a restored backup, or from
// somebody who edited them.
func (w *row) record() (keyring.Record, error) {
	r := keyring.Record{
		Tenant: w.tenant, Purpose: keyring.Purpose(w.purpose), Version: uint32(w.version), State: keyring.State(w.state),
		CreatedAt: time.UnixMicro(w.createdAt).UTC(), ChangedAt: time.UnixMicro(w.changedAt).UTC(),
		ChangedBy: w.changedBy, Reason: w.reason,
	}
	var err error
	switch {
	case !parseID(&r.ID, w.id):
		err = errors.New("the id is not 16 lower-case hex digits, or zero")
	case int64(r.Version) != w.version:
		err = fmt.Errorf("version %d is out of range", w.version)
	case w.parent.Valid && !parseID(&r.Parent, w.parent.String):
		err = fmt.Errorf("parent %.40q is not 16 lower-case hex digits, or zero", w.parent.String)
	case len(w.commitment) != envelope.CommitmentSize:
		err = fmt.Errorf("the commitment is %d bytes long, not %d", len(w.commitment), envelope.CommitmentSize)
	default:
		copy(r.Commitment[:], w.commitment)
		if r.Wraps, err = parseWraps(w.wraps); err == nil {
			err = checkRecord(&r)
		}
	}
	if err != nil {
		return keyring.Record{}, fmt.Errorf("%w %.40q: %w", ErrCorrupt, w.id, err)
	}
	return r, nil
}

// parseID reads the one way in which an id is written. Zero is no key's id.
func parseID(id *envelope.KeyID, text string) bool {
	if len(text) != hex.EncodedLen(len(id)) {
		return false
	}
	if _, err := hex.Decode(id[:], []byte(text)); err != nil {
		return false
	}
	return *id != (envelope.KeyID{}) && id.String() == text
}

// checkRecord says what is wrong with r, apart from its wraps' form.
func checkRecord(r *keyring.Record) error {
	if r.ID == (envelope.KeyID{}) {
		return errors.New("the id is zero")
	}
	if r.Version == 0 {
		return errors.New("the version is 0; versions begin at 1")
	}
	if err := checkTenant(r.Tenant); err != nil {
		return err
	}
	if err := checkPurpose(r.Purpose); err != nil {
		return err
	}
	switch r.State {
	case keyring.Active, keyring.Retired:
		if len(r.Wraps) == 0 {
			return fmt.Errorf("it is %s and has no wraps", r.State)
		}
	case keyring.Destroyed:
		if len(r.Wraps) != 0 {
			return errors.New("it is destroyed and still has wraps")
		}
	default:
		return fmt.Errorf("state %.40q is none of active, retired, destroyed", r.State)
	}
	return nil
}

func checkPurpose(p keyring.Purpose) error {
	switch p {
	case keyring.PurposeTenant, keyring.PurposeIndex, keyring.PurposeGlobalIndex, keyring.PurposeStore:
		return nil
	}
	return fmt.Errorf("purpose %.40q is none of tenant, index, index-global, store", p)
}

// checkTenant refuses what JSON would change: of bytes that are not UTF-8 it
// makes one and the same character, and two tenants could be taken for one.
// NUL is no text to PostgreSQL.
func checkTenant(tenant string) error {
	if n := len(tenant); n == 0 || n > maxTenant {
		return fmt.Errorf("the tenant is %d bytes long; 1 to %d are allowed", n, maxTenant)
	}
	return checkText("tenant", tenant)
}

func checkNote(name, text string) error {
	if len(text) > maxNote {
		return fmt.Errorf("%s is %d bytes long; up to %d are allowed", name, len(text), maxNote)
	}
	return checkText(name, text)
}

func checkText(name, text string) error {
	if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
		return fmt.Errorf("%s %.300q is not UTF-8 without NUL", name, text)
	}
	return nil
}

// newRow is a record as it goes into the statement Create.
type newRow struct {
	ID         string  `json:"id"`
	Tenant     string  `json:"tenant"`
	Purpose    string  `json:"purpose"`
	Version    uint32  `json:"version"`
	State      string  `json:"state"`
	Parent     *string `json:"parent"`
	Commitment string  `json:"commitment"` // hex
	Wraps      string  `json:"wraps"`
	ChangedBy  string  `json:"changed_by"`
	Reason     string  `json:"reason"`
	// Times in microseconds since the epoch; nil for the server's clock.
	CreatedAt *int64 `json:"created_at"`
	ChangedAt *int64 `json:"changed_at"`
}

// encodeRecord checks r whole.
func encodeRecord(r *keyring.Record) (newRow, error) {
	err := checkRecord(r)
	if err == nil && r.Commitment == [envelope.CommitmentSize]byte{} && !r.Mark() {
		err = errors.New("it has no commitment")
	}
	if err != nil {
		return newRow{}, fmt.Errorf("%w: %s: %w", ErrInvalid, r, err)
	}
	return encodeChange(r)
}

// encodeChange encodes r and checks what an Update may change.
func encodeChange(r *keyring.Record) (newRow, error) {
	if err := checkRecord(r); err != nil {
		return newRow{}, fmt.Errorf("%w: %s: %w", ErrInvalid, r, err)
	}
	for _, note := range []struct{ name, text string }{{"ChangedBy", r.ChangedBy}, {"Reason", r.Reason}} {
		if err := checkNote(note.name, note.text); err != nil {
			return newRow{}, fmt.Errorf("%w: %s: %w", ErrInvalid, r, err)
		}
	}
	wraps, err := formatWraps(r.Wraps)
	if err != nil {
		return newRow{}, fmt.Errorf("%w: %s: %w", ErrInvalid, r, err)
	}
	w := newRow{
		ID: r.ID.String(), Tenant: r.Tenant, Purpose: string(r.Purpose), Version: r.Version, State: string(r.State),
		Commitment: hex.EncodeToString(r.Commitment[:]), Wraps: wraps, ChangedBy: r.ChangedBy, Reason: r.Reason,
	}
	if r.Parent != (envelope.KeyID{}) {
		parent := r.Parent.String()
		w.Parent = &parent
	}
	return w, nil
}
