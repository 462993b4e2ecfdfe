package awskms

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/rowseal/rowseal/kms"
)

// Wrap encrypts key under the current key. See [kms.KMS].
func (k *KMS) Wrap(ctx context.Context, key []byte, b kms.Binding) (kms.Wrapped, error) {
	if err := checkInput("wrap", key, b); err != nil {
		return kms.Wrapped{}, err
	}
	var out *awssdk.EncryptOutput
	err := k.call(ctx, "wrap", k.keyID, func(ctx context.Context) (err error) {
		out, err = k.api.Encrypt(ctx, &awssdk.EncryptInput{
			KeyId: &k.keyID, Plaintext: key,
			EncryptionContext: b.EncryptionContext(), GrantTokens: k.grantTokens,
		})
		return err
	})
	if err != nil {
		return kms.Wrapped{}, err
	}
	return k.wrapped("wrap", out.KeyId, out.CiphertextBlob)
}

// Generate has the service make a data key. See [kms.Generator].
func (k *KMS) Generate(ctx context.Context, b kms.Binding) ([]byte, kms.Wrapped, error) {
	if err := b.Validate(); err != nil {
		return nil, kms.Wrapped{}, failed("generate", "", kms.ErrInvalid, err, "")
	}
	var out *awssdk.GenerateDataKeyOutput
	err := k.call(ctx, "generate", k.keyID, func(ctx context.Context) (err error) {
		out, err = k.api.GenerateDataKey(ctx, &awssdk.GenerateDataKeyInput{
			KeyId: &k.keyID, KeySpec: types.DataKeySpecAes256,
			EncryptionContext: b.EncryptionContext(), GrantTokens: k.grantTokens,
		})
		return err
	})
	if err != nil {
		return nil, kms.Wrapped{}, err
	}
	w, err := k.wrapped("generate", out.KeyId, out.CiphertextBlob)
	if err == nil && len(out.Plaintext) != kms.KeySize {
		err = failed("generate", w.RootKey, kms.ErrUnavailable,
			fmt.Errorf("the service returned a key of %d bytes, want %d", len(out.Plaintext), kms.KeySize), "")
	}
	if err != nil {
		clear(out.Plaintext)
		return nil, kms.Wrapped{}, err
	}
	return out.Plaintext, w, nil
}

// Unwrap decrypts w with the key that its RootKey names. See [kms.KMS].
func (k *KMS) Unwrap(ctx context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error) {
	keyARN, err := k.checkWrapped("unwrap", w, b)
	if err != nil {
		return nil, err
	}
	var out *awssdk.DecryptOutput
	err = k.call(ctx, "unwrap", w.RootKey, func(ctx context.Context) (err error) {
		out, err = k.api.Decrypt(ctx, &awssdk.DecryptInput{
			KeyId: &keyARN, CiphertextBlob: w.Blob,
			EncryptionContext: b.EncryptionContext(), GrantTokens: k.grantTokens,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if got := aws.ToString(out.KeyId); got != keyARN {
		clear(out.Plaintext)
		return nil, failed("unwrap", w.RootKey, kms.ErrBinding, errors.New("the service used another key"), "")
	}
	if len(out.Plaintext) != kms.KeySize {
		clear(out.Plaintext)
		return nil, failed("unwrap", w.RootKey, kms.ErrBinding,
			fmt.Errorf("what was wrapped is %d bytes long, want %d", len(out.Plaintext), kms.KeySize), "")
	}
	return out.Plaintext, nil
}

// Rewrap moves w to the current key inside the service. See [kms.Rewrapper].
// Where the current key is the one that w names, it moves w to that key's
// newest material.
func (k *KMS) Rewrap(ctx context.Context, w kms.Wrapped, b kms.Binding) (kms.Wrapped, error) {
	keyARN, err := k.checkWrapped("rewrap", w, b)
	if err != nil {
		return kms.Wrapped{}, err
	}
	var out *awssdk.ReEncryptOutput
	err = k.call(ctx, "rewrap", w.RootKey, func(ctx context.Context) (err error) {
		out, err = k.api.ReEncrypt(ctx, &awssdk.ReEncryptInput{
			CiphertextBlob: w.Blob, GrantTokens: k.grantTokens,
			SourceKeyId: &keyARN, SourceEncryptionContext: b.EncryptionContext(),
			DestinationKeyId: &k.keyID, DestinationEncryptionContext: b.EncryptionContext(),
		})
		return err
	})
	if err != nil {
		return kms.Wrapped{}, err
	}
	if got := aws.ToString(out.SourceKeyId); got != keyARN {
		return kms.Wrapped{}, failed("rewrap", w.RootKey, kms.ErrBinding, errors.New("the service used another key"), "")
	}
	return k.wrapped("rewrap", out.KeyId, out.CiphertextBlob)
}

func checkInput(op string, key []byte, b kms.Binding) error {
	if len(key) != kms.KeySize {
		return failed(op, "", kms.ErrInvalid,
			fmt.Errorf("the data key is %d bytes long, want %d", len(key), kms.KeySize), "")
	}
	if err := b.Validate(); err != nil {
		return failed(op, "", kms.ErrInvalid, err, "")
	}
	return nil
}

// checkWrapped returns the ARN to name to the service for w.
func (k *KMS) checkWrapped(op string, w kms.Wrapped, b kms.Binding) (keyARN string, err error) {
	keyARN, ok := k.scope.serve(w.RootKey)
	if !ok {
		return "", k.foreign(op, w.RootKey)
	}
	if err := w.Validate(); err != nil {
		return "", failed(op, w.RootKey, kms.ErrInvalid, err, "")
	}
	if err := b.Validate(); err != nil {
		return "", failed(op, w.RootKey, kms.ErrInvalid, err, "")
	}
	return keyARN, nil
}

// foreign leaves out of the error what is no key's ARN: it came from a database
// that anyone may have written to.
func (k *KMS) foreign(op, rootKey string) error {
	if !keyARNPattern.MatchString(rootKey) {
		return failed(op, "", kms.ErrForeign, errors.New("it is not the ARN of a KMS key"), "")
	}
	return failed(op, rootKey, kms.ErrForeign, nil,
		"this one serves region "+k.scope.region+"; open a KMS for the key's region, or add its account to Accounts")
}

// wrapped makes the result of an operation that wrapped under KeyID.
func (k *KMS) wrapped(op string, keyARN *string, blob []byte) (kms.Wrapped, error) {
	rootKey, err := k.used(op, keyARN)
	if err != nil {
		return kms.Wrapped{}, err
	}
	w := kms.Wrapped{RootKey: rootKey, Blob: blob}
	if err := w.Validate(); err != nil {
		return kms.Wrapped{}, failed(op, rootKey, kms.ErrUnavailable, err, "")
	}
	return w, nil
}
