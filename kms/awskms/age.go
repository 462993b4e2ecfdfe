package awskms

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssdk "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/rowseal/rowseal/kms"
)

// rotations is what Age asks of a client beyond API; the SDK's has it.
type rotations interface {
	GetKeyRotationStatus(context.Context, *awssdk.GetKeyRotationStatusInput, ...func(*awssdk.Options)) (*awssdk.GetKeyRotationStatusOutput, error)
	ListKeyRotations(context.Context, *awssdk.ListKeyRotationsInput, ...func(*awssdk.Options)) (*awssdk.ListKeyRotationsOutput, error)
}

var _ rotations = (*awssdk.Client)(nil)

// Age implements kms.Aged. The service rotates the material inside a key, by
// itself where that was enabled, and goes on decrypting what older material
// encrypted. Where an alias leads to another key, that one's age counts. A client
// without these requests gives the key's own age.
func (k *KMS) Age(ctx context.Context) (kms.Age, error) {
	key, err := k.describe(ctx, "age")
	if err != nil {
		return kms.Age{}, err
	}
	keyARN, err := k.used("age", key.Arn)
	if err != nil {
		return kms.Age{}, err
	}
	age := kms.Age{RootKey: keyARN, Since: aws.ToTime(key.CreationDate)}
	api, ok := k.api.(rotations)
	if !ok {
		return age, nil
	}
	err = k.call(ctx, "age", keyARN, func(ctx context.Context) error {
		status, err := api.GetKeyRotationStatus(ctx, &awssdk.GetKeyRotationStatusInput{KeyId: &keyARN})
		if err != nil {
			return err
		}
		age.Automatic = status.KeyRotationEnabled
		age.Period = time.Duration(aws.ToInt32(status.RotationPeriodInDays)) * 24 * time.Hour
		return nil
	})
	if err == nil {
		err = k.lastRotation(ctx, api, &age)
	}
	return age, err
}

// lastRotation moves age to the key's last rotation.
func (k *KMS) lastRotation(ctx context.Context, api rotations, age *kms.Age) error {
	input := &awssdk.ListKeyRotationsInput{KeyId: &age.RootKey}
	for {
		var page *awssdk.ListKeyRotationsOutput
		err := k.call(ctx, "age", age.RootKey, func(ctx context.Context) (err error) {
			page, err = api.ListKeyRotations(ctx, input)
			return err
		})
		if err != nil {
			return err
		}
		for _, r := range page.Rotations {
			if at := aws.ToTime(r.RotationDate); at.After(age.Since) {
				age.Since = at
			}
		}
		if !page.Truncated || page.NextMarker == nil {
			return nil
		}
		input.Marker = page.NextMarker
	}
}
