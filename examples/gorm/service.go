package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"gorm.io/gorm"

	"github.com/rowseal/rowseal/field"
)

// service answers requests about people.
type service struct {
	orm     *gorm.DB
	tenants tenants
	log     *slog.Logger
}

// handler returns all routes. None is reached without a tenant.
func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /people", s.answer(s.create))
	mux.Handle("GET /people", s.answer(s.find))
	mux.Handle("GET /people/{id}", s.answer(s.get))
	mux.Handle("PATCH /people/{id}", s.answer(s.change))
	mux.Handle("DELETE /people/{id}", s.answer(s.remove))
	return s.requireTenant(mux)
}

// people is a query among the people of the request's tenant. Were the
// condition forgotten, the plugin would refuse other tenants' rows.
func (s *service) people(r *http.Request) *gorm.DB {
	return s.orm.WithContext(r.Context()).Where("tenant = ?", field.TenantFrom(r.Context()))
}

func (s *service) create(w http.ResponseWriter, r *http.Request) error {
	in, err := readInput(w, r)
	if err != nil {
		return err
	}
	if in.Email == nil || in.Name == nil {
		return errInput
	}
	var p Person
	in.apply(&p)
	if err := s.orm.WithContext(r.Context()).Create(&p).Error; err != nil {
		return err
	}
	w.Header().Set("Location", fmt.Sprintf("/people/%d", p.ID))
	return reply(w, http.StatusCreated, p)
}

// find looks for an e-mail address. Proxies log what stands in a URL: where
// not all of them are yours, take it from the body of a POST.
func (s *service) find(w http.ResponseWriter, r *http.Request) error {
	email, err := canonical(r.URL.Query().Get("email"))
	if err != nil {
		return err
	}
	found := []Person{}
	if err := s.people(r).Where("email = ?", email).Order("id").Limit(100).Find(&found).Error; err != nil {
		return err
	}
	return reply(w, http.StatusOK, found)
}

func (s *service) get(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	var p Person
	if err := s.people(r).First(&p, id).Error; err != nil {
		return err
	}
	return reply(w, http.StatusOK, p)
}

func (s *service) change(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	in, err := readInput(w, r)
	if err != nil {
		return err
	}
	p := Person{ID: id}
	columns := in.apply(&p)
	if len(columns) == 0 {
		return errInput
	}
	tx := s.people(r).Model(&Person{ID: id}).Select(columns).Updates(p)
	if err := oneRow(tx); err != nil {
		return err
	}
	return s.get(w, r)
}

func (s *service) remove(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	if err := oneRow(s.people(r).Delete(&Person{ID: id})); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// oneRow is an error unless tx wrote a row.
func oneRow(tx *gorm.DB) error {
	if tx.Error == nil && tx.RowsAffected == 0 {
		return gorm.ErrRecordNotFound
	}
	return tx.Error
}

func idOf(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, errInput
	}
	return id, nil
}

func reply(w http.ResponseWriter, status int, body any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller may be gone
	return nil
}
