package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// profiled is a file that -profile adds to the proxy's command, which has no such
// thing itself.
const profiled = `package main

import (
	"net/http"
	_ "net/http/pprof"
	"os"
)

func init() { go http.ListenAndServe(os.Getenv("PROXYBENCH_PPROF"), nil) }
`

// build compiles the proxy, with -profile one that can be looked into.
func (b *bench) build(ctx context.Context, program string) error {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "github.com/rowseal/rowseal/cmd/rowseal").Output()
	if err != nil {
		return err
	}
	args := []string{"build", "-o", program}
	if b.profile != "" {
		added := filepath.Join(string(out[:len(out)-1]), "proxybench_profile.go")
		source, overlay := filepath.Join(b.dir, "profile.go"), filepath.Join(b.dir, "overlay.json")
		if err := os.WriteFile(source, []byte(profiled), 0o600); err != nil {
			return err
		}
		list, err := json.Marshal(map[string]any{"Replace": map[string]string{added: source}})
		if err != nil {
			return err
		}
		if err := os.WriteFile(overlay, list, 0o600); err != nil {
			return err
		}
		args = append(args, "-overlay", overlay)
	}
	args = append(args, "github.com/rowseal/rowseal/cmd/rowseal")
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// collect writes a profile of the proxy into the directory that -profile names.
// what is "heap", or "profile" for the processor's time over a duration.
func (b *bench) collect(ctx context.Context, what, name string, over time.Duration) error {
	url := fmt.Sprintf("http://%s/debug/pprof/%s?gc=1&seconds=%d", b.pprof, what, int(over.Seconds()))
	if over == 0 {
		url = fmt.Sprintf("http://%s/debug/pprof/%s?gc=1", b.pprof, what)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.profile, name+".pprof"), data, 0o600)
}
