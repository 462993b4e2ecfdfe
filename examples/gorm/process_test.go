package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// asMain makes this test binary the program that it tests.
const asMain = "PEOPLE_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func program(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asMain+"=1", "PEOPLE_DB=", "PEOPLE_TOKENS=north="+northKey)
	return cmd
}

func TestSignalsEndTheProgramInOrder(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			dir := t.TempDir()
			cmd := program(t, dir, "-listen", "127.0.0.1:0", "-db", "sqlite:people.db", "-key", "root.key")
			log, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			lines := bufio.NewScanner(log)
			var said struct{ Msg, Address string }
			if !lines.Scan() || json.Unmarshal(lines.Bytes(), &said) != nil || said.Msg != "listening" {
				t.Fatalf("the log begins with %q", lines.Text())
			}
			r := &running{t: t, url: "http://" + said.Address}
			r.want(201, northKey, "POST", "/people", ann, nil)
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			for lines.Scan() {
				said.Msg = ""
				_ = json.Unmarshal(lines.Bytes(), &said)
			}
			if err := cmd.Wait(); err != nil || said.Msg != "ending" {
				t.Errorf("ended with %v after %q", err, said.Msg)
			}
			for _, name := range []string{"people.db", "people.db.keys", "root.key"} {
				if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestHelpAndErrorsHideThePassword(t *testing.T) {
	const dsn = "postgres://u:canary@127.0.0.1:1/people?connect_timeout=1"
	for name, args := range map[string][]string{
		"help":        {"-help"},
		"unreachable": {"-listen", "127.0.0.1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := program(t, t.TempDir(), args...)
			cmd.Env = append(cmd.Env, "PEOPLE_DB="+dsn)
			out, err := cmd.CombinedOutput()
			if name == "unreachable" && err == nil || len(out) == 0 {
				t.Fatalf("%v: %s", err, out)
			}
			if bytes.Contains(out, []byte(canary)) {
				t.Errorf("it prints %s", out)
			}
		})
	}
}

func TestWhatWasAnsweredIsKept(t *testing.T) {
	onBoth(t, func(t *testing.T, l lab) {
		r := start(t, l.settings)
		var wg sync.WaitGroup
		kept := make(chan string, 1024)
		for worker := range 4 {
			wg.Go(func() {
				for i := range 200 {
					email := fmt.Sprintf("canary%d.%d@example.com", worker, i)
					req, err := http.NewRequest(http.MethodPost, r.url+"/people", strings.NewReader(`{"name": "canary", "email": "`+email+`"}`))
					if err != nil {
						t.Error(err)
						return
					}
					req.Header.Set("Authorization", "Bearer "+northKey)
					resp, err := http.DefaultClient.Do(req)
					if err != nil {
						return // nobody listens any more
					}
					resp.Body.Close()
					if resp.StatusCode != http.StatusCreated {
						t.Errorf("%s: %d", email, resp.StatusCode)
						return
					}
					if kept <- email; len(kept) >= 40 {
						r.stop()
					}
				}
			})
		}
		wg.Wait()
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
		close(kept)
		r = start(t, l.settings)
		n := 0
		for email := range kept {
			var found []Person
			r.want(200, northKey, "GET", "/people?email="+email, "", &found)
			if n++; len(found) != 1 {
				t.Errorf("%s was answered with 201, and %d are found", email, len(found))
			}
		}
		if n < 40 || n == 800 {
			t.Errorf("%d were kept: the service was not ended on its way", n)
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}
