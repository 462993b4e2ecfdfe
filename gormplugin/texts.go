package gormplugin

import (
	"errors"

	lru "github.com/hashicorp/golang-lru/v2"
)

// texts remembers what was found out about statements by their text: many
// short ones, such as an application has, and a few long ones, which are the
// INSERT of a batch over and over again. Longer ones are read each time.
type texts struct {
	short, long *lru.Cache[textKey, *analysis]
}

const (
	shortTexts  = 1024
	shortLength = 8 << 10
	longTexts   = 8
	longLength  = 512 << 10
)

func newTexts() (*texts, error) {
	short, err := lru.New[textKey, *analysis](shortTexts)
	long, err2 := lru.New[textKey, *analysis](longTexts)
	return &texts{short: short, long: long}, errors.Join(err, err2)
}

// of returns where a statement of n bytes would be remembered, or nil.
func (t *texts) of(n int) *lru.Cache[textKey, *analysis] {
	switch {
	case n <= shortLength:
		return t.short
	case n <= longLength:
		return t.long
	}
	return nil
}

// Get returns what is remembered.
func (t *texts) Get(key textKey) (*analysis, bool) {
	if c := t.of(len(key.sql)); c != nil {
		return c.Get(key)
	}
	return nil, false
}

// Add remembers a. Neither key nor a may be changed afterwards.
func (t *texts) Add(key textKey, a *analysis) {
	if c := t.of(len(key.sql)); c != nil {
		c.Add(key, a)
	}
}
