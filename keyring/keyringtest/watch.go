package keyringtest

import (
	"context"

	"github.com/rowseal/rowseal/envelope"
)

// watch is one call of Watch.
type watch struct {
	changed chan envelope.KeyID
	cut     chan error
}

// watchBuffer is how many changes a watch may lag behind; more block.
const watchBuffer = 1000

// tell hands a change to every watch. The caller holds s.mu.
func (s *Store) tell(id envelope.KeyID) {
	for _, w := range s.watches {
		w.changed <- id
	}
}

// Watch implements keyring.Watcher.
func (s *Store) Watch(ctx context.Context, changed func(ids []envelope.KeyID), gap func(reason error)) error {
	w := watch{changed: make(chan envelope.KeyID, watchBuffer), cut: make(chan error)}
	s.mu.Lock()
	if s.watches == nil {
		s.watches = map[int]watch{}
	}
	s.watched++
	me := s.watched
	s.watches[me] = w
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watches, me)
	}()
	gap(nil)
	for {
		select {
		case id := <-w.changed:
			changed([]envelope.KeyID{id})
		case err := <-w.cut:
			gap(err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Interrupt tells every watch that it may have missed changes, because of err,
// and returns once each has heard.
func (s *Store) Interrupt(err error) {
	s.mu.Lock()
	watches := make([]watch, 0, len(s.watches))
	for _, w := range s.watches {
		watches = append(watches, w)
	}
	s.mu.Unlock()
	for _, w := range watches {
		w.cut <- err
	}
}
