package sqlproxy

import (
	"bytes"
	"fmt"
	"net/http"
)

// Admin answers, for an operator's listener and not for the clients':
//
//	/healthz  200 while the process lives
//	/readyz   200 while connections are taken, 503 before Serve and behind Shutdown
//	/metrics  counters, in Prometheus' text form
//
// There is nothing secret in it: no names of users, no statements.
func (s *Server) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.ready() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(s.metrics()) // whoever asked is gone
	})
	return mux
}

func (s *Server) ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drain.Err() == nil && len(s.listeners) > 0
}

// metrics are the counters in Prometheus' text form.
func (s *Server) metrics() []byte {
	var b bytes.Buffer
	for _, m := range s.counts.all() {
		fmt.Fprintf(&b, "# HELP rowseal_proxy_%s %s\n# TYPE rowseal_proxy_%s %s\nrowseal_proxy_%s %d\n",
			m.name, m.help, m.name, m.kind, m.name, m.value)
	}
	return b.Bytes()
}
