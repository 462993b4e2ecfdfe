package awskms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/rowseal/rowseal/kms"
)

// aliasTTL is how long an alias is taken to lead to the key it led to. Wrap and
// Generate do not wait for it: they name the alias to the service.
const aliasTTL = time.Minute

// Current returns the ARN of the key that wraps now. It costs no call when
// KeyID is a key's ARN, one when it is a key id, and one a minute when it is an
// alias; what Wrap and Generate learn counts too.
func (k *KMS) Current(ctx context.Context) (string, error) {
	if k.fixed != "" {
		return k.fixed, nil
	}
	if keyARN, ok := k.known(); ok {
		return keyARN, nil
	}
	key, err := k.describe(ctx, "current")
	if err != nil {
		return "", err
	}
	return k.used("current", key.Arn)
}

// known returns what KeyID last led to, if that is recent enough.
func (k *KMS) known() (string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	fresh := !k.alias || k.clock().Sub(k.resolvedAt) < aliasTTL
	return k.resolved, k.resolved != "" && fresh
}

// used checks and remembers the key that the service used for KeyID.
func (k *KMS) used(op string, keyARN *string) (string, error) {
	got := aws.ToString(keyARN)
	local, ok := k.scope.serve(got)
	if !ok || local != got || k.fixed != "" && got != k.fixed {
		return "", failed(op, k.keyID, kms.ErrInvalid,
			errors.New("the service used a key that this KMS does not serve"),
			"check Region and Accounts, and where the alias leads")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.resolved, k.resolvedAt = got, k.clock()
	return got, nil
}

func (k *KMS) describe(ctx context.Context, op string) (*types.KeyMetadata, error) {
	var key *types.KeyMetadata
	err := k.call(ctx, op, k.keyID, func(ctx context.Context) error {
		out, err := k.api.DescribeKey(ctx, &awssdk.DescribeKeyInput{
			KeyId: &k.keyID, GrantTokens: k.grantTokens,
		})
		if err == nil {
			key = out.KeyMetadata
		}
		return err
	})
	if err == nil && key == nil {
		err = failed(op, k.keyID, kms.ErrUnavailable, errors.New("the service's answer is empty"), "")
	}
	return key, err
}

// Check asks the service about the key and says why it cannot wrap: it does
// not exist, is disabled, or is no symmetric encryption key. It needs
// kms:DescribeKey.
func (k *KMS) Check(ctx context.Context) error {
	key, err := k.describe(ctx, "check")
	if err != nil {
		return err
	}
	keyARN, err := k.used("check", key.Arn)
	if err != nil {
		return err
	}
	if key.KeyState != types.KeyStateEnabled {
		return failed("check", keyARN, kms.ErrDisabled,
			fmt.Errorf("its state is %s", key.KeyState), "enable it, or name another key")
	}
	if key.KeyUsage != types.KeyUsageTypeEncryptDecrypt || key.KeySpec != types.KeySpecSymmetricDefault {
		return failed("check", keyARN, kms.ErrInvalid,
			fmt.Errorf("its usage is %s and its spec %s", key.KeyUsage, key.KeySpec),
			"name a key of usage ENCRYPT_DECRYPT and spec SYMMETRIC_DEFAULT")
	}
	return nil
}
