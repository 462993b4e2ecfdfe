package rotate

import (
	"context"
	"strings"
)

// schemaOption is the option with the schema in which a table lies that the policy names without one: where each tenant has
// a schema, the search path says whose table it is, and the journal is one for all.
const schemaOption = "schema"

const pgSchemaSQL = `SELECT coalesce((SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1::text)), '')`

// schemaOf says in which schema a connection finds a table; "" where the name says it itself, there is no such table, or
// the journal is kept beside the tables.
func schemaOf(ctx context.Context, q querier, d Dialect, table string) (schema string, err error) {
	if d != PostgreSQL || strings.Contains(table, ".") {
		return "", nil
	}
	err = q.QueryRowContext(ctx, pgSchemaSQL, quoteName(table)).Scan(&schema)
	return schema, err
}

// withSchema makes the schema in which the table is found part of the job's identity.
func withSchema(ctx context.Context, cfg *Config, job *Job) error {
	schema, err := schemaOf(ctx, cfg.DB, cfg.Dialect, job.Table.Name())
	if err == nil && schema != "" {
		identify(job, schemaOption, schema)
	}
	return err
}

// place fills in where the tables of jobs are.
func (j *sqlJournal) place(ctx context.Context, jobs ...*Status) error {
	here := map[string]string{}
	for _, s := range jobs {
		spec, err := specOf(s.Spec)
		if err != nil || spec.Options[schemaOption] == "" {
			continue // what is not ours to read has no schema either
		}
		if _, known := here[s.Table]; !known {
			if here[s.Table], err = schemaOf(ctx, j.db, PostgreSQL, s.Table); err != nil {
				return err
			}
		}
		s.Schema = spec.Options[schemaOption]
		s.Elsewhere = s.Schema != here[s.Table]
	}
	return nil
}
