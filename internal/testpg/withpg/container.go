package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
)

// image is the oldest PostgreSQL that Rowseal supports, in its smallest form.
const image = "postgres:15-alpine"

// startContainer runs PostgreSQL in a container, which testcontainers' reaper removes even when this
// process is killed.
func startContainer(ctx context.Context) (dsn string, stop func() error, err error) {
	defer func() {
		// testcontainers panics where it finds no Docker host at all.
		if r := recover(); r != nil {
			err = fmt.Errorf("testcontainers: %v", r)
		}
	}()
	container, err := postgres.Run(ctx, image,
		postgres.WithUsername("postgres"), postgres.WithPassword("rowseal"), postgres.WithDatabase("postgres"),
		postgres.BasicWaitStrategies(),
		testcontainers.WithCmd("postgres", "-c", "fsync=off", "-c", "max_connections=300", "-c", "timezone=UTC"))
	stop = func() error { return testcontainers.TerminateContainer(container) }
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("testcontainers: %w", err), stop())
	}
	dsn, err = container.ConnectionString(ctx, "sslmode=disable")
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("testcontainers: %w", err), stop())
	}
	return dsn, stop, nil
}
