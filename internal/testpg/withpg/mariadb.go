package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// mariadbImage is the oldest MariaDB that Rowseal is tested with.
const mariadbImage = "mariadb:10.11"

// startMariaDB runs MariaDB in a container, which testcontainers' reaper removes even when this process
// is killed. The account has no password, so that tests run where the driver's SHA-1 is forbidden.
func startMariaDB(ctx context.Context) (dsn string, stop func() error, err error) {
	defer func() {
		// testcontainers panics where it finds no Docker host at all.
		if r := recover(); r != nil {
			err = fmt.Errorf("testcontainers: %v", r)
		}
	}()
	container, err := testcontainers.Run(ctx, mariadbImage,
		testcontainers.WithEnv(map[string]string{"MARIADB_ALLOW_EMPTY_ROOT_PASSWORD": "1"}),
		testcontainers.WithCmd("--innodb-flush-log-at-trx-commit=0", "--max-connections=300", "--character-set-server=utf8mb4"),
		testcontainers.WithExposedPorts("3306/tcp"),
		// The image starts a server without a network first, to set it up.
		testcontainers.WithWaitStrategy(wait.ForLog("port: 3306"), wait.ForListeningPort("3306/tcp")))
	stop = func() error { return testcontainers.TerminateContainer(container) }
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("testcontainers: %w", err), stop())
	}
	endpoint, err := container.PortEndpoint(ctx, "3306/tcp", "")
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("testcontainers: %w", err), stop())
	}
	return "root@tcp(" + endpoint + ")/", stop, nil
}
