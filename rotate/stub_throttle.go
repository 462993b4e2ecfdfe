package rotate

import (
	"context"
	"time"
)

// evenPages keeps the page size.
type evenPages int

func startThrottle(_ context.Context, cfg *Config) (throttle, error) {
	return evenPages(cfg.PageSize), nil
}

func (e evenPages) wait(ctx context.Context, _ func(string)) (int, error) { return int(e), ctx.Err() }
func (evenPages) done(int, time.Duration)                                 {}
func (evenPages) set(Limits) error                                        { return nil }
func (evenPages) lag() int64                                              { return -1 }
