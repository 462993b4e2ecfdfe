package keyring_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

func export(t testing.TB, k *keyring.Keyring, tenant string) []byte {
	t.Helper()
	var out bytes.Buffer
	e, err := k.Export(t.Context(), &out, keyring.ExportConfig{Tenant: tenant, By: "ann", To: "safe.jsonl"})
	if err != nil {
		t.Fatal(err)
	}
	if e.Keys != int64(bytes.Count(out.Bytes(), []byte("\n"))-2) {
		t.Errorf("%d keys in %d lines", e.Keys, bytes.Count(out.Bytes(), []byte("\n")))
	}
	return out.Bytes()
}

// elsewhere is a keyring over another, empty store.
func (b *bench) elsewhere(t testing.TB) (*keyring.Keyring, *keyringtest.Store) {
	t.Helper()
	store := &keyringtest.Store{}
	return b.reader(t, func(c *keyring.Config) { c.Store = store }), store
}

func restore(t testing.TB, k *keyring.Keyring, file []byte) keyring.Imported {
	t.Helper()
	return restoreAs(t, k, file, keyring.ImportConfig{By: "bob", Check: true})
}

func restoreAs(t testing.TB, k *keyring.Keyring, file []byte, cfg keyring.ImportConfig) keyring.Imported {
	t.Helper()
	done, err := k.Import(t.Context(), bytes.NewReader(file), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestWhatIsExportedOpensElsewhere(t *testing.T) {
	for _, intermediate := range []bool{false, true} {
		b := newBench(t, func(c *keyring.Config) { c.Intermediate = intermediate })
		acme, zeta := mustSeal(t, b, "acme", "x"), mustSeal(t, b, "zeta", "z")
		if err := search(b.Keyring, "acme"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", "yearly"); err != nil {
			t.Fatal(err)
		}
		for _, tenant := range []string{"", "acme"} {
			file := export(t, b.Keyring, tenant)
			k, _ := b.elsewhere(t)
			first := restore(t, k, file)
			if first.Created != first.Keys || first.Failed != 0 {
				t.Errorf("got %+v", first)
			}
			if again := restore(t, k, file); again.Created != 0 || again.Present != again.Keys || again.Failed != 0 {
				t.Errorf("again: %+v", again)
			}
			if got, err := open(k, b.field, acme); err != nil || got != "x" {
				t.Errorf("acme's value: %q, %v", got, err)
			}
			_, err := open(k, b.field, zeta)
			if whole := tenant == ""; whole != (err == nil) {
				t.Errorf("zeta's value, export of %q: %v", tenant, err)
			}
			want, got := b.keys(t, keyring.PurposeTenant, "acme"), (&bench{Keyring: k}).keys(t, keyring.PurposeTenant, "acme")
			for i := range want {
				if fmt.Sprint(got[i].ID, got[i].State, got[i].Wraps, got[i].ChangedBy) != fmt.Sprint(want[i].ID, want[i].State, want[i].Wraps, want[i].ChangedBy) ||
					!got[i].CreatedAt.Equal(want[i].CreatedAt) || !got[i].ChangedAt.Equal(want[i].ChangedAt) {
					t.Errorf("got  %+v\nwant %+v", got[i], want[i])
				}
			}
		}
	}
}

func TestExportsAreNoted(t *testing.T) {
	b := newBench(t)
	mustSeal(t, b, "acme", "x")
	file := export(t, b.Keyring, "")
	export(t, b.Keyring, "zeta")
	if _, err := b.Export(t.Context(), broken{}, keyring.ExportConfig{By: "eve", To: "full disk"}); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	list, err := b.Exports(t.Context(), "acme")
	if err != nil || len(list) != 2 {
		t.Fatalf("got %v, %v", list, err)
	}
	sum := sha256.Sum256(file[:bytes.LastIndex(file[:len(file)-1], []byte("\n"))+1])
	if e := list[0]; e.By != "ann" || e.To != "safe.jsonl" || e.Keys != 1 || e.Digest != hex.EncodeToString(sum[:]) || e.At.IsZero() {
		t.Errorf("got %+v", e)
	}
	if e := list[1]; e.By != "eve" || e.Digest != "" {
		t.Errorf("the one that broke off: %+v", e)
	}
	if all, err := b.Exports(t.Context(), ""); err != nil || len(all) != 3 {
		t.Errorf("got %v, %v", all, err)
	}
}

var errBroken = errors.New("no space left")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestAnImportRevivesNothing(t *testing.T) {
	type world struct {
		*bench
		file   []byte // taken while the tenant lived
		sealed []byte
	}
	live := func(t *testing.T) world {
		b := newBench(t)
		sealed := mustSeal(t, b, "acme", "x")
		if err := search(b.Keyring, "acme"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", ""); err != nil {
			t.Fatal(err)
		}
		return world{b, export(t, b.Keyring, ""), sealed}
	}
	shred := func(t *testing.T, k *keyring.Keyring) {
		if _, err := k.Shred(t.Context(), "acme", "ann", "asked"); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("an old export into a store where the tenant was shredded", func(t *testing.T) {
		w := live(t)
		shred(t, w.Keyring)
		if done := restore(t, w.Keyring, w.file); done.Refused != 3 || done.Created != 0 {
			t.Errorf("got %+v", done)
		}
		ended(t, w.bench, "acme", w.sealed, w.Keyring)
	})
	t.Run("versions that the shredded store never had", func(t *testing.T) {
		w := live(t)
		for range 3 {
			if _, err := w.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", ""); err != nil {
				t.Fatal(err)
			}
		}
		file := export(t, w.Keyring, "")
		k, store := w.elsewhere(t)
		shred(t, k)
		if done := restore(t, k, file); done.Refused != 6 || done.Created != 0 {
			t.Errorf("got %+v", done)
		}
		ended(t, &bench{Keyring: k, store: store, kms: w.kms, field: w.field}, "acme", nil, k)
	})
	t.Run("a newer export with tombstones into a store where the tenant lives", func(t *testing.T) {
		w := live(t)
		k, store := w.elsewhere(t)
		restore(t, k, w.file)
		if _, err := open(k, w.field, w.sealed); err != nil {
			t.Fatal(err)
		}
		shred(t, w.Keyring)
		newer := export(t, w.Keyring, "")
		if done := restore(t, k, newer); done.Destroyed != 0 || done.Left != 3 || len(done.LeftAlive) != 3 || done.Created != 0 || done.Failed != 0 {
			t.Errorf("unasked: %+v", done)
		}
		if _, err := open(k, w.field, w.sealed); err != nil {
			t.Errorf("after an import that was not to destroy: %v", err)
		}
		if _, err := k.Rotate(t.Context(), keyring.PurposeTenant, "acme", "ops", ""); err != nil {
			t.Errorf("the tenant is not to be barred either: %v", err)
		}
		if done := restoreAs(t, k, newer, keyring.ImportConfig{By: "ann", Destroy: true}); done.Destroyed != 4 || done.Left != 0 || done.Failed != 0 {
			t.Errorf("got %+v", done)
		}
		other := &bench{Keyring: k, store: store, kms: w.kms, field: w.field}
		if r := other.keys(t, keyring.PurposeTenant, "acme")[0]; r.ChangedBy != "ann" || r.Reason != "shredded, says an export" {
			t.Errorf("the tombstone says %+v", r)
		}
		ended(t, other, "acme", w.sealed, k)
	})
	t.Run("a tenant that is shredded while the import runs", func(t *testing.T) {
		w := live(t)
		k, store := w.elsewhere(t)
		racing := &interposedRestore{Store: store, before: func() { shred(t, k) }}
		importer := w.reader(t, func(c *keyring.Config) { c.Store = racing })
		if _, err := importer.Import(t.Context(), bytes.NewReader(w.file), keyring.ImportConfig{By: "bob"}); err != nil {
			t.Fatal(err)
		}
		ended(t, &bench{Keyring: k, store: store, kms: w.kms, field: w.field}, "acme", nil, k)
	})
}

type interposedRestore struct {
	*keyringtest.Store
	before func()
}

func (s *interposedRestore) Restore(ctx context.Context, records []keyring.Record) ([]keyring.Record, error) {
	s.before()
	return s.Store.Restore(ctx, records)
}

func TestAnImportChecksThatKeysUnwrap(t *testing.T) {
	b := newBench(t)
	mustSeal(t, b, "acme", "x")
	mustSeal(t, b, "zeta", "z")
	file := export(t, b.Keyring, "")
	k := b.reader(t, func(c *keyring.Config) { c.Store, c.Roots = &keyringtest.Store{}, []kms.KMS{localkms.Memory()} })
	if done := restore(t, k, file); done.Created != 2 || done.Failed != 2 || !errors.Is(done.Failures[0], keyring.ErrNoRoot) {
		t.Errorf("got %+v", done)
	}
}

func TestDamagedExportsAreRefusedBeforeAnythingIsWritten(t *testing.T) {
	b := newBench(t)
	mustSeal(t, b, "acme", "secret words")
	file := string(export(t, b.Keyring, ""))
	lines := strings.SplitAfter(file, "\n")
	for name, damaged := range map[string]string{
		"nothing":           "",
		"cut off":           strings.Join(lines[:2], ""),
		"cut in a line":     file[:len(file)-3],
		"a bit":             strings.Replace(file, `"version":1`, `"version":2`, 1),
		"a record missing":  lines[0] + lines[2],
		"a record twice":    lines[0] + lines[1] + lines[1] + lines[2],
		"something behind":  file + "\n",
		"another format":    strings.Replace(file, `"rowseal_keys":1`, `"rowseal_keys":2`, 1),
		"an unknown field":  strings.Replace(file, `"version":1`, `"version":1,"x":1`, 1),
		"no export":         "secret words of somebody\n",
		"a very long line":  strings.Repeat("x", 2<<20),
		"two objects":       strings.Replace(file, "}\n", "}{}\n", 1),
		"another namespace": strings.Replace(file, `"namespace":"test"`, `"namespace":"prod"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			k, store := b.elsewhere(t)
			_, err := k.Import(t.Context(), strings.NewReader(damaged), keyring.ImportConfig{})
			if !errors.Is(err, keyring.ErrExport) {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("%q repeats the file", err)
			}
			if list, _ := store.List(t.Context(), keyring.Filter{}, [8]byte{}, 10); len(list) != 0 {
				t.Errorf("written: %v", list)
			}
		})
	}
}

func FuzzImport(f *testing.F) {
	b := newBench(f, func(c *keyring.Config) { c.Intermediate = true })
	if err := b.Prepare(f.Context(), "acme", "zeta"); err != nil {
		f.Fatal(err)
	}
	if _, err := b.Shred(f.Context(), "zeta", "ann", "asked"); err != nil {
		f.Fatal(err)
	}
	file := export(f, b.Keyring, "")
	body := file[:bytes.LastIndex(file[:len(file)-1], []byte("\n"))+1]
	f.Add(body)
	f.Add(body[:100])
	f.Fuzz(func(t *testing.T, body []byte) {
		// With a right last line, so that what is in the lines is looked at.
		sum := sha256.Sum256(body)
		whole := fmt.Appendf(bytes.Clone(body), "{\"end\":true,\"keys\":%d,\"sha256\":\"%x\"}\n", bytes.Count(body, []byte("\n"))-1, sum)
		k, _ := b.elsewhere(t)
		done, err := k.Import(t.Context(), bytes.NewReader(whole), keyring.ImportConfig{Check: true})
		if err != nil {
			return
		}
		if again, err := k.Import(t.Context(), bytes.NewReader(whole), keyring.ImportConfig{}); err != nil || again.Created != 0 && done.Failed == 0 {
			t.Errorf("first %+v, then %+v, %v", done, again, err)
		}
	})
}
