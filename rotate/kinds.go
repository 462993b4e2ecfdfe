package rotate

import (
	"context"
	"fmt"
)

// newWork makes what a worker does for job. It may ask the KMS and the key store.
func newWork(ctx context.Context, cfg *Config, job *Job) (work, error) {
	switch job.Kind {
	case Rewrap:
		return newRewrap(ctx, cfg, job)
	case Reseal:
		return newReseal(ctx, cfg, job)
	case Verify:
		return newVerify(ctx, cfg, job)
	case Overwrite:
		return newOverwrite(ctx, cfg, job)
	case Seal:
		return newSeal(ctx, cfg, job)
	case Unseal:
		return newUnseal(ctx, cfg, job)
	}
	return nil, fmt.Errorf("rotate: unknown kind of job %q", job.Kind)
}
