package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/keyring"
)

func newKeys() *cobra.Command {
	c := group(&cobra.Command{Use: "keys", Short: "Create, list, rotate, end, export and import keys"})
	c.AddCommand(newKeysCreate(), newKeysDestroy(), newKeysExport(), newKeysImport(), newKeysList(), newKeysRetire(), newKeysRotate())
	return c
}

// records lists the keys that f lets through.
func records(ctx context.Context, ring *keyring.Keyring, f keyring.Filter) (list []keyring.Record, err error) {
	err = ring.Each(ctx, f, func(r keyring.Record) error {
		list = append(list, r)
		return nil
	})
	return list, err
}

// recordsOf lists a tenant's keys of the purposes, of which other owners may have the tenant's name. That there
// is none is an error: the name is mistyped.
func recordsOf(ctx context.Context, ring *keyring.Keyring, tenant string, purposes ...keyring.Purpose) ([]keyring.Record, error) {
	list, err := records(ctx, ring, keyring.Filter{Tenant: tenant})
	list = slices.DeleteFunc(list, func(r keyring.Record) bool { return !slices.Contains(purposes, r.Purpose) })
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("tenant %q has no key; \"rowseal keys list\" shows those that do", tenant)
	}
	return list, err
}
