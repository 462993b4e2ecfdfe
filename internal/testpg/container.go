package testpg

import (
	"context"
	"fmt"

	"github.com/rowseal/rowseal/internal/child"
	"github.com/rowseal/rowseal/internal/localpg"
)

// withpgPackage is the program that can run a container.
const withpgPackage = "github.com/rowseal/rowseal/internal/testpg/withpg"

// startContainer runs withpg, which prints the connection string of a container that lives until the
// program's input ends, that is, until this process does.
func startContainer(ctx context.Context) (string, error) {
	dsn, err := child.Serve(ctx, withpgPackage, "-serve")
	if err != nil {
		return "", fmt.Errorf("%w; %w", localpg.ErrNoBinaries, err)
	}
	return dsn, nil
}
