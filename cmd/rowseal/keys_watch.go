package main

import (
	"context"
	"errors"
	"log/slog"
)

// watch drops keys as soon as the key store tells that they were retired or destroyed.
func (s *session) watch(ctx context.Context, log *slog.Logger) {
	if s.ring == nil || s.store == nil || s.unwatch != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := s.ring.Watch(ctx)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			log.Info("the key store tells of no changes; destroyed keys are dropped within the cache's TTL")
		case ctx.Err() == nil:
			log.Warn("the key store is not heard any more; destroyed keys are dropped within the cache's TTL", "error", err.Error())
		}
	}()
	s.unwatch = func() {
		cancel()
		<-ended
	}
}
