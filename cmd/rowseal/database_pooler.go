package main

import (
	"context"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/rotate"
)

// pooler finds out once whether a pooler stands before the server. Its transaction mode gives statements that were prepared
// in one session to another, so that none is prepared then.
type pooler struct {
	asked bool // --dsn says itself how statements are sent, or it is known

	mu   sync.Mutex
	mode pgx.QueryExecMode
}

// beforeConnect sets how a new connection sends statements.
func (p *pooler) beforeConnect(ctx context.Context, config *pgx.ConnConfig) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.asked {
		if p.mode, err = execMode(ctx, config.Copy()); err != nil {
			return err
		}
		p.asked = true
	} else if p.mode == pgx.QueryExecModeCacheStatement {
		return nil // as --dsn has it
	}
	config.DefaultQueryExecMode = p.mode
	return nil
}

func execMode(ctx context.Context, config *pgx.ConnConfig) (mode pgx.QueryExecMode, err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	between, err := rotate.PoolerBefore(ctx, conn)
	if between {
		return pgx.QueryExecModeExec, err
	}
	return config.DefaultQueryExecMode, err
}
