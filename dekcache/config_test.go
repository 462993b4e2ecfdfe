package dekcache_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/dekcache"
)

func TestNewRefusesWhatCannotWorkAndNamesTheField(t *testing.T) {
	type config = dekcache.Config[string, value]
	for _, tt := range []struct {
		name  string
		spoil func(*config)
		want  string // "" where it is accepted
	}{
		{"entries and TTL are enough", func(*config) {}, ""},
		{"no entries", func(c *config) { c.Entries = 0 }, "Entries is 0"},
		{"negative entries", func(c *config) { c.Entries = -1 }, "Entries is -1"},
		{"no TTL", func(c *config) { c.TTL = 0 }, "TTL is 0s"},
		{"negative TTL", func(c *config) { c.TTL = -1 }, "TTL is -1ns"},
		{"the longest TTL", func(c *config) { c.TTL = dekcache.MaxTTL }, ""},
		{"a TTL over the maximum", func(c *config) { c.TTL = dekcache.MaxTTL + 1 }, "at most 1h0m0s"},
		{"the longest negative TTL", func(c *config) { c.NegativeTTL = dekcache.MaxTTL }, ""},
		{"a negative TTL over the maximum", func(c *config) { c.NegativeTTL = dekcache.MaxTTL + 1 }, "NegativeTTL is"},
		{"refresh-ahead too early", func(c *config) { c.RefreshAhead = 0.09 }, "RefreshAhead is 0.09"},
		{"the earliest refresh-ahead", func(c *config) { c.RefreshAhead = 0.1 }, ""},
		{"the latest refresh-ahead", func(c *config) { c.RefreshAhead = 0.95 }, ""},
		{"refresh-ahead too late", func(c *config) { c.RefreshAhead = 0.96 }, "RefreshAhead is 0.96"},
		{"refresh-ahead that is no number", func(c *config) { c.RefreshAhead = math.NaN() }, "RefreshAhead is NaN"},
		{"negative load timeout", func(c *config) { c.LoadTimeout = -1 }, "LoadTimeout is -1ns"},
		{"as many shards as entries", func(c *config) { c.Shards = 10 }, ""},
		{"more shards than entries", func(c *config) { c.Shards = 11 }, "Shards is 11"},
		{"negative shards", func(c *config) { c.Shards = -1 }, "Shards is -1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config{Entries: 10, TTL: time.Minute}
			tt.spoil(&cfg)
			c, err := dekcache.New(cfg)
			switch {
			case tt.want == "" && (err != nil || c == nil):
				t.Fatalf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Fatalf("error is %v, want one with %q", err, tt.want)
			}
		})
	}
}
