package keyring

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/kms"
)

// An export is a file of JSON lines:
//
//	{"rowseal_keys":1,"namespace":"prod","tenant":"","exported_at":"…","by":"ann","id":"5f0c…"}
//	{"id":"…","tenant":"acme","purpose":"tenant","version":1,"state":"active","commitment":"hex",
//	 "wraps":[{"root":"local:5f0c…/2","blob":"base64"}],"created_at":"…","changed_at":"…"}
//	{"end":true,"keys":1,"sha256":"hex"}
//
// The last line has the number of records and the SHA-256 of all bytes before it.
// That finds damage and files that are cut off, not forgery: what a wrap holds is
// bound to its record, and the record commits to the key, so that a changed record does
// not unwrap.

// exportFormat is the version of the format. Files of every released version are
// imported by every later one.
const exportFormat = 1

type exportHead struct {
	Format    int       `json:"rowseal_keys"`
	Namespace string    `json:"namespace"`
	Tenant    string    `json:"tenant"`
	At        time.Time `json:"exported_at"`
	By        string    `json:"by"`
	ID        string    `json:"id"`
}

type exportWrap struct {
	Root string `json:"root"`
	Blob string `json:"blob"`
}

type exportRecord struct {
	ID         string       `json:"id"`
	Tenant     string       `json:"tenant"`
	Purpose    Purpose      `json:"purpose"`
	Version    uint32       `json:"version"`
	State      State        `json:"state"`
	Parent     string       `json:"parent,omitempty"`
	Commitment string       `json:"commitment"`
	Wraps      []exportWrap `json:"wraps"`
	CreatedAt  time.Time    `json:"created_at"`
	ChangedAt  time.Time    `json:"changed_at"`
	ChangedBy  string       `json:"changed_by,omitempty"`
	Reason     string       `json:"reason,omitempty"`
}

type exportEnd struct {
	End    bool   `json:"end"`
	Keys   int64  `json:"keys"`
	Digest string `json:"sha256"`
}

// ExportConfig says what [Keyring.Export] copies, and for the record who does.
type ExportConfig struct {
	// Tenant narrows the export to the keys of one tenant, and the store keys that
	// wrap them; "" exports all.
	Tenant string
	// By and To are noted in the store, By in the file too.
	By, To string
}

// Export writes the records of the key store to w, each key still wrapped as it
// is in the store. That it was done is noted in the store before the first byte is
// written, and noted as complete after the last: a shredded tenant's keys stay
// usable in an export until it, or the root key, is destroyed.
func (k *Keyring) Export(ctx context.Context, w io.Writer, cfg ExportConfig) (Export, error) {
	ledger, err := k.ledger()
	if err != nil {
		return Export{}, err
	}
	a, err := k.admin()
	if err != nil {
		return Export{}, err
	}
	e := Export{By: cfg.By, To: cfg.To, Tenant: cfg.Tenant}
	_, _ = rand.Read(e.ID[:]) // never fails: crypto/rand
	if e.At, err = a.Now(ctx); err != nil {
		return e, storeError(err)
	}
	if err := ledger.SaveExport(ctx, e); err != nil {
		return e, storeError(err)
	}
	out := &exportWriter{w: bufio.NewWriter(w), sum: sha256.New()}
	if err := k.writeExport(ctx, out, &e); err != nil {
		return e, err
	}
	if err := ledger.SaveExport(ctx, e); err != nil {
		return e, storeError(err)
	}
	return e, nil
}

// ledger returns the store's list of exports.
func (k *Keyring) ledger() (Ledger, error) {
	l, ok := k.cfg.Store.(Ledger)
	if !ok {
		return nil, &Error{Err: ErrStore, Remedy: "exports are noted in the key store, and this one does not implement keyring.Ledger"}
	}
	return l, nil
}

// Exports returns the exports that may hold keys of tenant, or with "" all, the
// oldest first.
func (k *Keyring) Exports(ctx context.Context, tenant string) (list []Export, err error) {
	ledger, err := k.ledger()
	if err != nil {
		return nil, err
	}
	all, err := ledger.Exports(ctx)
	if err != nil {
		return nil, storeError(err)
	}
	for _, e := range all {
		if tenant == "" || e.Tenant == "" || e.Tenant == tenant {
			list = append(list, e)
		}
	}
	return list, nil
}

func (k *Keyring) writeExport(ctx context.Context, out *exportWriter, e *Export) error {
	head := exportHead{
		Format: exportFormat, Namespace: k.cfg.Namespace, Tenant: e.Tenant, At: e.At.UTC(), By: e.By, ID: e.ID.String(),
	}
	if err := out.line(head); err != nil {
		return err
	}
	parents := map[envelope.KeyID]bool{}
	write := func(r Record) error {
		if r.Parent != (envelope.KeyID{}) {
			parents[r.Parent] = true
		}
		e.Keys++
		return out.line(encodeExport(&r))
	}
	err := k.Each(ctx, Filter{Tenant: e.Tenant}, func(r Record) error {
		if e.Tenant != "" && r.Purpose != PurposeTenant && r.Purpose != PurposeIndex {
			return nil // another purpose's owner of the same name
		}
		return write(r)
	})
	if err == nil && e.Tenant != "" {
		err = k.Each(ctx, Filter{Purpose: PurposeStore}, func(r Record) error {
			if !parents[r.ID] {
				return nil
			}
			return write(r)
		})
	}
	if err != nil {
		return err
	}
	e.Digest = hex.EncodeToString(out.sum.Sum(nil))
	if err := out.line(exportEnd{End: true, Keys: e.Keys, Digest: e.Digest}); err != nil {
		return err
	}
	return out.w.Flush()
}

// exportWriter writes lines and sums them up.
type exportWriter struct {
	w   *bufio.Writer
	sum hash.Hash
}

func (o *exportWriter) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	o.sum.Write(text)
	if _, err := o.w.Write(text); err != nil {
		return fmt.Errorf("keyring: writing the export: %w", err)
	}
	return nil
}

func encodeExport(r *Record) exportRecord {
	x := exportRecord{
		ID: r.ID.String(), Tenant: r.Tenant, Purpose: r.Purpose, Version: r.Version, State: r.State,
		Commitment: hex.EncodeToString(r.Commitment[:]), Wraps: make([]exportWrap, len(r.Wraps)),
		CreatedAt: r.CreatedAt.UTC(), ChangedAt: r.ChangedAt.UTC(), ChangedBy: r.ChangedBy, Reason: r.Reason,
	}
	if r.Parent != (envelope.KeyID{}) {
		x.Parent = r.Parent.String()
	}
	for i, w := range r.Wraps {
		x.Wraps[i] = exportWrap{Root: w.RootKey, Blob: base64.StdEncoding.EncodeToString(w.Blob)}
	}
	return x
}

func (x *exportRecord) record() (r Record, err error) {
	r = Record{
		Tenant: x.Tenant, Purpose: x.Purpose, Version: x.Version, State: x.State,
		CreatedAt: x.CreatedAt, ChangedAt: x.ChangedAt, ChangedBy: x.ChangedBy, Reason: x.Reason,
	}
	if err := unhex(r.ID[:], x.ID); err != nil {
		return r, fmt.Errorf("id: %w", err)
	}
	if x.Parent != "" {
		if err := unhex(r.Parent[:], x.Parent); err != nil {
			return r, fmt.Errorf("parent: %w", err)
		}
	}
	if err := unhex(r.Commitment[:], x.Commitment); err != nil {
		return r, fmt.Errorf("commitment: %w", err)
	}
	for _, w := range x.Wraps {
		blob, err := base64.StdEncoding.Strict().DecodeString(w.Blob)
		if err != nil {
			return r, errExportWrap
		}
		wrap := kms.Wrapped{RootKey: w.Root, Blob: blob}
		if err := wrap.Validate(); err != nil {
			return r, err
		}
		r.Wraps = append(r.Wraps, wrap)
	}
	return r, nil
}
