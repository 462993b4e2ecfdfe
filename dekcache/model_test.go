package dekcache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rowseal/rowseal/dekcache"
)

// machine runs a cache of one shard beside a model of what it must do: the
// simplest one, a list in order of use.
type machine struct {
	cache  *cache
	clk    *clock
	cfg    config
	serial int64 // of the last value
	loads  int64

	held    []*modelEntry // least recently used first
	errs    []modelError  // oldest first
	evicted []*modelEntry // what left, to be checked for being empty
	alive   map[*value]bool
}

type modelEntry struct {
	key     string
	entry   *entry
	value   *value
	expires time.Time
	uses    uint64
}

type modelError struct {
	key   string
	err   error
	until time.Time
}

func newMachine(t *rapid.T) *machine {
	m := &machine{clk: newClock(), alive: make(map[*value]bool)}
	m.cfg = config{
		Entries: rapid.IntRange(1, 5).Draw(t, "entries"), Shards: 1,
		TTL: 10 * time.Second, NegativeTTL: 2 * time.Second, MaxValues: 3, Now: m.clk.Now,
		Drop: func(v *value) {
			if !m.alive[v] {
				t.Errorf("value %d dropped twice", v.serial)
			}
			delete(m.alive, v)
		},
	}
	c, err := dekcache.New(m.cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.cache = c
	return m
}

func (m *machine) find(k string) int {
	return slices.IndexFunc(m.held, func(e *modelEntry) bool { return e.key == k })
}

// drop removes the i-th entry from the model.
func (m *machine) drop(i int) {
	m.evicted = append(m.evicted, m.held[i])
	m.held = slices.Delete(m.held, i, i+1)
}

// settle removes what the passing of time ended.
func (m *machine) settle() {
	for i := len(m.held) - 1; i >= 0; i-- {
		if !m.clk.Now().Before(m.held[i].expires) {
			m.drop(i)
		}
	}
	m.errs = slices.DeleteFunc(m.errs, func(e modelError) bool { return !m.clk.Now().Before(e.until) })
}

// loader delivers v or err for the one key of a Get.
func (m *machine) loader(v *value, life time.Duration, err error) dekcache.Loader[string, value] {
	return func(_ context.Context, keys []string, deliver deliver) {
		m.loads++
		if err != nil {
			deliver(0, nil, time.Time{}, err)
			return
		}
		m.alive[v] = true
		deliver(0, v, m.clk.Now().Add(life), nil)
	}
}

func (m *machine) get(t *rapid.T) {
	k := drawKey(t)
	m.serial++
	v := &value{serial: m.serial}
	life := time.Duration(rapid.IntRange(1, 15).Draw(t, "life")) * time.Second
	var loadErr error
	if rapid.IntRange(0, 4).Draw(t, "outcome") == 0 {
		loadErr = fmt.Errorf("failure %d", m.serial)
	}
	before := m.loads
	e, err := m.cache.Get(context.Background(), k, m.loader(v, life, loadErr))
	loaded := m.loads != before

	if i := m.find(k); i >= 0 && m.held[i].uses <= m.cfg.MaxValues {
		hit := m.held[i]
		if loaded || err != nil || e != hit.entry || e.Value() != hit.value {
			t.Fatalf("%s should be a hit: loaded %v, error %v", k, loaded, err)
		}
		m.held = append(slices.Delete(m.held, i, i+1), hit)
		return
	} else if i >= 0 {
		m.drop(i) // exhausted
	}
	if i := slices.IndexFunc(m.errs, func(e modelError) bool { return e.key == k }); i >= 0 {
		if loaded || !errors.Is(err, m.errs[i].err) {
			t.Fatalf("%s should be the remembered error: loaded %v, error %v", k, loaded, err)
		}
		return
	}
	if !loaded || !errors.Is(err, loadErr) {
		t.Fatalf("%s should be loaded: %v, error %v, want %v", k, loaded, err, loadErr)
	}
	if loadErr != nil {
		m.errs = append(m.errs, modelError{k, err, m.clk.Now().Add(m.cfg.NegativeTTL)})
		m.errs = m.errs[max(0, len(m.errs)-m.cfg.Entries):]
		return
	}
	if len(m.held) == m.cfg.Entries {
		m.drop(0)
	}
	m.held = append(m.held, &modelEntry{key: k, entry: e, value: v, expires: m.clk.Now().Add(min(life, m.cfg.TTL))})
	if e.Value() != v {
		t.Fatalf("%s has another value", k)
	}
}

func (m *machine) use(t *rapid.T) {
	if len(m.held) == 0 {
		return
	}
	e := m.held[rapid.IntRange(0, len(m.held)-1).Draw(t, "entry")]
	e.uses++
	if got, want := e.entry.Use(1), e.uses <= m.cfg.MaxValues; got != want {
		t.Fatalf("use %d is %v", e.uses, got)
	}
}

func (m *machine) forget(t *rapid.T) {
	k := drawKey(t)
	i := m.find(k)
	want := i >= 0 && m.held[i].uses <= m.cfg.MaxValues
	if got := m.cache.Forget(k); got != want {
		t.Fatalf("Forget(%s) is %v", k, got)
	}
	if i >= 0 {
		m.drop(i)
	}
	m.errs = slices.DeleteFunc(m.errs, func(e modelError) bool { return e.key == k })
}

func (m *machine) purge(*rapid.T) {
	m.cache.Purge()
	for len(m.held) > 0 {
		m.drop(0)
	}
	m.errs = nil
}

func (m *machine) wait(t *rapid.T) {
	m.clk.advance(time.Duration(rapid.IntRange(1, 40).Draw(t, "tenths")) * 100 * time.Millisecond)
	m.settle()
}

// check compares everything that can be seen without changing anything.
func (m *machine) check(t *rapid.T) {
	live := 0
	for _, k := range modelKeys {
		e, ok := m.cache.Peek(k)
		i := m.find(k)
		want := i >= 0 && m.held[i].uses <= m.cfg.MaxValues
		if ok != want || ok && (e != m.held[i].entry || e.Value() != m.held[i].value) {
			t.Fatalf("%s: found %v, want %v", k, ok, want)
		}
		if ok {
			live++
			if !e.Expires().Equal(m.held[i].expires) {
				t.Fatalf("%s expires at %v, want %v", k, e.Expires(), m.held[i].expires)
			}
		}
	}
	for _, gone := range m.evicted {
		if gone.entry.Value() != nil {
			t.Fatalf("%s is gone and has a value", gone.key)
		}
	}
	m.evicted = nil
	if n := m.cache.Len(); n < live || n > m.cfg.Entries {
		t.Fatalf("%d entries, %d of them alive, bound %d", n, live, m.cfg.Entries)
	}
	if n := m.cache.Stats().Failures; n > m.cfg.Entries {
		t.Fatalf("%d errors remembered, bound %d", n, m.cfg.Entries)
	}
	if len(m.alive) > m.cache.Len() {
		t.Fatalf("%d values not dropped, %d entries", len(m.alive), m.cache.Len())
	}
}

var modelKeys = []string{"a", "b", "c", "d", "e", "f", "g", "h"}

func drawKey(t *rapid.T) string { return rapid.SampledFrom(modelKeys).Draw(t, "key") }

func TestTheCacheDoesWhatItsModelDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		t.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"get":    m.get,
			"get2":   m.get, // twice as often as the rest
			"use":    m.use,
			"forget": m.forget,
			"purge":  m.purge,
			"wait":   m.wait,
		})
	})
}
