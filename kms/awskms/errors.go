package awskms

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rowseal/rowseal/kms"
)

func failed(op, rootKey string, kind, cause error, remedy string) error {
	return &kms.Error{
		Provider: provider, Op: op, RootKey: rootKey,
		Kind: kind, Err: cause, Remedy: remedy,
	}
}

func openFailed(cause error) error { return failed("open", "", kms.ErrInvalid, cause, "") }

// call runs one request within the timeout and makes its error one of
// package kms.
func (k *KMS) call(ctx context.Context, op, rootKey string, request func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	err := request(limited)
	if err == nil {
		return nil
	}
	v := classify(err)
	switch {
	case !errors.Is(v.kind, kms.ErrUnavailable): // the service's answer stands
	case ctx.Err() != nil:
		err = ctx.Err()
	case limited.Err() != nil:
		err = fmt.Errorf("no answer within %v: %w", k.timeout, limited.Err())
	}
	return failed(op, rootKey, v.kind, withoutBody(err), v.remedy)
}

// errUnreadable stands for a decoding error. The SDK's own holds the body of
// the answer, which may be a data key.
var errUnreadable = errors.New("the service's answer could not be read")

func withoutBody(err error) error {
	var decoding *smithy.DeserializationError
	if errors.As(err, &decoding) {
		return errUnreadable
	}
	return err
}

// verdict is the kind of an error and what to do about it. It is empty where
// the error was not recognised.
type verdict struct {
	kind   error
	remedy string
}

// classify finds the kind of an error of the SDK.
func classify(err error) verdict {
	if v := classifyTyped(err); v.kind != nil {
		return v
	}
	if v := classifyCode(err); v.kind != nil {
		return v
	}
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() >= http.StatusInternalServerError {
		return verdict{kind: kms.ErrUnavailable}
	}
	var api smithy.APIError
	var params *smithy.InvalidParamsError
	if errors.As(err, &api) || errors.As(err, &params) {
		return verdict{kind: kms.ErrInvalid}
	}
	// No answer came: the network, the name service, or where credentials
	// come from.
	return verdict{kind: kms.ErrUnavailable}
}

// classifyTyped goes by the types that the service's model gives to errors.
func classifyTyped(err error) verdict {
	switch {
	case is[*types.InvalidCiphertextException](err), is[*types.IncorrectKeyException](err):
		return verdict{kind: kms.ErrBinding}
	case is[*types.DisabledException](err):
		return verdict{kms.ErrDisabled, "enable the key"}
	case is[*types.KMSInvalidStateException](err):
		return verdict{kms.ErrDisabled, "cancel its deletion, or import its key material again"}
	case is[*types.NotFoundException](err):
		return verdict{kms.ErrNotFound, "check the key, the alias and the region"}
	case is[*types.InvalidGrantTokenException](err):
		return verdict{kms.ErrDenied, "the grant token is not valid"}
	case is[*types.LimitExceededException](err):
		return verdict{kind: kms.ErrThrottled}
	case is[*types.KeyUnavailableException](err), is[*types.DependencyTimeoutException](err),
		is[*types.KMSInternalException](err):
		return verdict{kind: kms.ErrUnavailable}
	case is[*types.InvalidKeyUsageException](err):
		return verdict{kms.ErrInvalid, "name a key of usage ENCRYPT_DECRYPT and spec SYMMETRIC_DEFAULT"}
	}
	return verdict{}
}

func is[T error](err error) bool {
	var want T
	return errors.As(err, &want)
}

// classifyCode goes by the codes that all AWS services share, which have no
// types of their own in the SDK.
func classifyCode(err error) verdict {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return verdict{}
	}
	code := api.ErrorCode()
	switch code {
	case "AccessDeniedException", "AccessDenied", "NotAuthorized":
		return verdict{kms.ErrDenied, "allow the caller the operation in the key's policy or its IAM policy"}
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException",
		"SignatureDoesNotMatch", "IncompleteSignatureException", "IncompleteSignature",
		"MissingAuthenticationTokenException", "MissingAuthenticationToken",
		"ExpiredTokenException", "ExpiredToken", "RequestExpired", "OptInRequired":
		return verdict{kms.ErrDenied, "check the AWS credentials, the region and this machine's clock"}
	}
	if _, throttled := retry.DefaultThrottleErrorCodes[code]; throttled {
		return verdict{kms.ErrThrottled, "ask for a higher quota, or cache data keys for longer"}
	}
	return verdict{}
}
