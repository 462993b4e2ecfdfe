package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/keyring/sqlstore"
)

func newInit() *cobra.Command {
	var p place
	var printOnly bool
	c := &cobra.Command{
		Use:   "init -c FILE [--dsn DSN]",
		Short: "Create the table that keeps the wrapped tenant keys",
		Long: `Create the table that keeps the wrapped tenant keys, where it does not exist:
rowseal.keys in PostgreSQL, rowseal_keys in SQLite and MySQL. It may be run
again at any time. --print shows the statements and runs none.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			file, err := p.load(c)
			if err != nil {
				return err
			}
			if file.Keys.Store == "" {
				return fmt.Errorf("%s names no key store, so there is nothing to create; write keys: {store: postgres}, keys: {store: mysql://…} or keys: {store: sqlite:///path}", p.config)
			}
			if printOnly {
				return printSchema(c, file.Keys.Store)
			}
			store, err := p.openStore(c, file)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			if err := store.Init(c.Context()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "The key table is ready in %s.\n", store.Name())
			return err
		},
	}
	p.flags(c)
	c.Flags().BoolVar(&printOnly, "print", false, "show the SQL and run nothing")
	return c
}

func printSchema(c *cobra.Command, store string) error {
	dialect := sqlstore.Postgres
	switch {
	case strings.HasPrefix(store, "sqlite:"):
		dialect = sqlstore.SQLite
	case strings.HasPrefix(store, "mysql:"):
		dialect = sqlstore.MySQL
	}
	for _, statement := range dialect.Schema() {
		if _, err := fmt.Fprintln(c.OutOrStdout(), strings.TrimSuffix(strings.TrimSpace(statement), ";")+";"); err != nil {
			return err
		}
	}
	return nil
}
