package relay

import (
	"net"
	"sync/atomic"
	"time"
)

// idle ends a session whose client says nothing for a time, outside of a transaction and with no answer owing.
type idle struct {
	net.Conn
	timer *time.Timer
	// heard is when the client last said anything, since start; any part of a message counts.
	heard atomic.Int64
}

// watchIdle begins to look. The timer is set only once it is where endIdle finds it.
func (s *session) watchIdle() {
	s.idle.heard.Store(int64(time.Since(start)))
	s.idle.timer = time.AfterFunc(time.Hour, s.endIdle)
	s.idle.timer.Reset(s.cfg.Idle)
}

// Read notes when the client says anything.
func (i *idle) Read(b []byte) (int, error) {
	n, err := i.Conn.Read(b)
	if n > 0 {
		i.heard.Store(int64(time.Since(start)))
	}
	return n, err
}

// endIdle ends the session if the client has been idle long enough; else it looks again when it may have been.
func (s *session) endIdle() {
	if s.ctx.Err() != nil {
		return
	}
	since := time.Since(start) - time.Duration(max(s.idle.heard.Load(), s.readyAt.Load()))
	if since < s.cfg.Idle {
		s.idle.timer.Reset(s.cfg.Idle - since)
		return
	}
	if s.status.Load() != 'I' || !s.queue.endIdle() {
		s.idle.timer.Reset(s.cfg.Idle)
		return
	}
	// A client that does not read either must not keep the session.
	_ = s.pair.Client.SetWriteDeadline(time.Now().Add(farewell))
	if err := s.up.TrySend(idleMessage()); err != nil {
		s.log.Debug("client is gone", "error", err)
	}
	s.end(errEnded)
}

func idleMessage() []byte {
	return appendRefusal(nil, "FATAL", refusal("57P05", "terminating connection due to idle-session timeout", ""), "")
}
