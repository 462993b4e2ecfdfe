package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/mail"
	"strings"
)

// Person is one tenant's. All but the id and the tenant is sealed; the e-mail
// address can be looked for.
type Person struct {
	ID     int64  `json:"id"`
	Tenant string `json:"-" gorm:"size:100;uniqueIndex:one_address" rowseal:"tenant"`
	Email  string `json:"email" gorm:"serializer:rowseal;type:bytes;uniqueIndex:one_address" rowseal:"search=equality"`
	Name   string `json:"name" gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Notes  string `json:"notes" gorm:"serializer:rowseal;type:bytes" rowseal:"seal,key=row"`
}

// input is what a request says about a person: nil where it says nothing. It
// names what callers may set, which the id and the tenant are not.
type input struct {
	Email *string `json:"email"`
	Name  *string `json:"name"`
	Notes *string `json:"notes"`
}

const maxBody = 64 << 10

// readInput reads a request's body. Its error does not quote what it read, as
// those of encoding/json do.
func readInput(w http.ResponseWriter, r *http.Request) (in input, err error) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return in, errInput
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return in, errInput
	}
	if in.Email != nil {
		*in.Email, err = canonical(*in.Email)
	}
	return in, err
}

// apply puts into p what the request says, and returns the columns that it
// says something about.
func (in input) apply(p *Person) (columns []string) {
	for _, f := range []struct {
		column string
		from   *string
		to     *string
	}{{"email", in.Email, &p.Email}, {"name", in.Name, &p.Name}, {"notes", in.Notes, &p.Notes}} {
		if f.from != nil {
			*f.to = *f.from
			columns = append(columns, f.column)
		}
	}
	return columns
}

// canonical returns the form in which an address is stored and looked for:
// only equal values find each other.
func canonical(address string) (string, error) {
	address = strings.TrimSpace(address)
	if parsed, err := mail.ParseAddress(address); err != nil || parsed.Address != address {
		return "", errInput
	}
	return strings.ToLower(address), nil
}
