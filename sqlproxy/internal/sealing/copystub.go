package sealing

import (
	"context"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// CopyIn seals what a client sends behind COPY FROM STDIN. Rows may begin and end anywhere in what Write gets.
type CopyIn struct{}

// NewCopyIn returns a CopyIn.
func (s *Session) NewCopyIn(c *plan.Copy) *CopyIn { panic("not built") }

// Write takes the payload of a CopyData and appends to dst what is to be sent, which ends at a row's end; it keeps the rest.
func (c *CopyIn) Write(ctx context.Context, dst, data []byte) ([]byte, error) { panic("not built") }

// Close gives what is left at CopyDone.
func (c *CopyIn) Close(ctx context.Context, dst []byte) ([]byte, error) { panic("not built") }

// CopyOut opens what a server sends behind COPY TO STDOUT: one row, or header, a CopyData.
type CopyOut struct{}

// NewCopyOut returns a CopyOut.
func (s *Session) NewCopyOut(c *plan.Copy) *CopyOut { panic("not built") }

// Row appends to dst the payload of a CopyData with its sealed values opened.
func (c *CopyOut) Row(ctx context.Context, dst, data []byte) ([]byte, error) { panic("not built") }
