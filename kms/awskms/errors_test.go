package awskms

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/awskms/awskmsfake"
)

func TestErrorsOfTheServiceHaveTheirKindAndTheSDKsType(t *testing.T) {
	for name, c := range map[string]struct {
		cause func(e *env)
		kind  error
		typed func(err error) bool

		temporary bool
	}{
		"a deleted key":                    {func(e *env) { e.fake.Delete(e.key) }, kms.ErrNotFound, is[*types.NotFoundException], false},
		"a disabled key":                   {func(e *env) { e.fake.Disable(e.key) }, kms.ErrDisabled, is[*types.DisabledException], false},
		"a key that is to be deleted":      {func(e *env) { e.fake.ScheduleDeletion(e.key) }, kms.ErrDisabled, is[*types.KMSInvalidStateException], false},
		"a caller without permission":      {func(e *env) { e.fake.Deny("Decrypt") }, kms.ErrDenied, is[smithy.APIError], false},
		"more requests than allowed":       {func(e *env) { e.fake.Throttle(-1) }, kms.ErrThrottled, is[*retry.MaxAttemptsError], true},
		"a failure inside the service":     {func(e *env) { e.fake.Fail5xx(-1) }, kms.ErrUnavailable, is[*types.KMSInternalException], true},
		"a service that cannot be reached": {func(e *env) { e.fake.Down() }, kms.ErrUnavailable, is[*retry.MaxAttemptsError], true},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t, nil)
			w := wrap(t, e)
			c.cause(e)
			_, err := e.Unwrap(t.Context(), w, binding)
			wantError(t, err, c.kind, w.RootKey)
			if !c.typed(err) {
				t.Errorf("%v is not of the SDK's type", err)
			}
			if got := kms.Temporary(err); got != c.temporary {
				t.Errorf("Temporary is %v for %v", got, err)
			}
		})
	}
}

func TestErrorsThatTheFakeDoesNotMakeHaveTheirKind(t *testing.T) {
	code := func(code string) error { return &smithy.GenericAPIError{Code: code} }
	for _, c := range []struct {
		err  error
		kind error
	}{
		{&types.IncorrectKeyException{}, kms.ErrBinding},
		{&types.InvalidCiphertextException{}, kms.ErrBinding},
		{&types.InvalidGrantTokenException{}, kms.ErrDenied},
		{&types.LimitExceededException{}, kms.ErrThrottled},
		{&types.KeyUnavailableException{}, kms.ErrUnavailable},
		{&types.DependencyTimeoutException{}, kms.ErrUnavailable},
		{&types.InvalidKeyUsageException{}, kms.ErrInvalid},
		{&types.InvalidArnException{}, kms.ErrInvalid},
		{code("AccessDeniedException"), kms.ErrDenied},
		{code("UnrecognizedClientException"), kms.ErrDenied},
		{code("ExpiredTokenException"), kms.ErrDenied},
		{code("InvalidSignatureException"), kms.ErrDenied},
		{code("MissingAuthenticationTokenException"), kms.ErrDenied},
		{code("ThrottlingException"), kms.ErrThrottled},
		{code("TooManyRequestsException"), kms.ErrThrottled},
		{code("ValidationException"), kms.ErrInvalid},
		{&smithy.InvalidParamsError{}, kms.ErrInvalid},
		{&net.DNSError{Err: "no such host"}, kms.ErrUnavailable},
		{errors.New("credentials could not be refreshed"), kms.ErrUnavailable},
	} {
		if got := classify(fmt.Errorf("operation error: %w", c.err)).kind; !errors.Is(got, c.kind) {
			t.Errorf("%T %v: got %v, want %v", c.err, c.err, got, c.kind)
		}
	}
}

func TestACallerWithoutValidCredentialsIsDenied(t *testing.T) {
	e := start(t, func(cfg *Config, e *env) {
		cfg.Client = e.fake.Client(func(o *awssdk.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider("AKIAUNKNOWN", awskmsfake.SecretAccessKey, "")
		})
	})
	_, err := e.Wrap(t.Context(), make([]byte, kms.KeySize), binding)
	wantError(t, err, kms.ErrDenied, "check the AWS credentials")
}

func TestTheSDKRepeatsThrottledAndFailedRequests(t *testing.T) {
	e := start(t, nil)
	e.fake.Throttle(1)
	e.fake.Fail5xx(1)
	wrap(t, e)
	if n := e.fake.Calls("Encrypt"); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

func TestACallEndsAfterTheTimeout(t *testing.T) {
	e := start(t, func(cfg *Config, _ *env) { cfg.Timeout = 20 * time.Millisecond })
	e.fake.Delay(time.Hour)
	_, err := e.Wrap(t.Context(), make([]byte, kms.KeySize), binding)
	wantError(t, err, kms.ErrUnavailable, "no answer within 20ms")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not match context.DeadlineExceeded", err)
	}
}

// lying is a service that answers otherwise than it was asked.
type lying struct {
	API
	decrypt   awssdk.DecryptOutput
	generate  awssdk.GenerateDataKeyOutput
	encrypt   awssdk.EncryptOutput
	reEncrypt awssdk.ReEncryptOutput
	describe  awssdk.DescribeKeyOutput
}

func (l *lying) Decrypt(context.Context, *awssdk.DecryptInput, ...func(*awssdk.Options)) (*awssdk.DecryptOutput, error) {
	return &l.decrypt, nil
}

func (l *lying) GenerateDataKey(context.Context, *awssdk.GenerateDataKeyInput, ...func(*awssdk.Options)) (*awssdk.GenerateDataKeyOutput, error) {
	return &l.generate, nil
}

func (l *lying) Encrypt(context.Context, *awssdk.EncryptInput, ...func(*awssdk.Options)) (*awssdk.EncryptOutput, error) {
	return &l.encrypt, nil
}

func (l *lying) ReEncrypt(context.Context, *awssdk.ReEncryptInput, ...func(*awssdk.Options)) (*awssdk.ReEncryptOutput, error) {
	return &l.reEncrypt, nil
}

func (l *lying) DescribeKey(context.Context, *awssdk.DescribeKeyInput, ...func(*awssdk.Options)) (*awssdk.DescribeKeyOutput, error) {
	return &l.describe, nil
}

const (
	keyA = "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-00000000000a"
	keyB = "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-00000000000b"
)

func TestAnswersAboutAnotherKeyOrOfTheWrongSizeAreRefused(t *testing.T) {
	blob := []byte("blob")
	full := make([]byte, kms.KeySize)
	w := kms.Wrapped{RootKey: keyA, Blob: blob}
	unwrap := func(k *KMS) error { _, err := k.Unwrap(t.Context(), w, binding); return err }
	rewrap := func(k *KMS) error { _, err := k.Rewrap(t.Context(), w, binding); return err }
	wrap := func(k *KMS) error { _, err := k.Wrap(t.Context(), full, binding); return err }
	generate := func(k *KMS) error { _, _, err := k.Generate(t.Context(), binding); return err }
	for name, c := range map[string]struct {
		answer lying
		call   func(k *KMS) error
		kind   error
	}{
		"Decrypt with another key":         {lying{decrypt: awssdk.DecryptOutput{KeyId: aws.String(keyB), Plaintext: make([]byte, 32)}}, unwrap, kms.ErrBinding},
		"Decrypt without a key":            {lying{decrypt: awssdk.DecryptOutput{Plaintext: make([]byte, 32)}}, unwrap, kms.ErrBinding},
		"Decrypt of 31 bytes":              {lying{decrypt: awssdk.DecryptOutput{KeyId: aws.String(keyA), Plaintext: make([]byte, 31)}}, unwrap, kms.ErrBinding},
		"ReEncrypt from another key":       {lying{reEncrypt: awssdk.ReEncryptOutput{SourceKeyId: aws.String(keyB), KeyId: aws.String(keyA), CiphertextBlob: blob}}, rewrap, kms.ErrBinding},
		"ReEncrypt to another key":         {lying{reEncrypt: awssdk.ReEncryptOutput{SourceKeyId: aws.String(keyA), KeyId: aws.String(keyB), CiphertextBlob: blob}}, rewrap, kms.ErrInvalid},
		"Encrypt with another key":         {lying{encrypt: awssdk.EncryptOutput{KeyId: aws.String(keyB), CiphertextBlob: blob}}, wrap, kms.ErrInvalid},
		"Encrypt without a ciphertext":     {lying{encrypt: awssdk.EncryptOutput{KeyId: aws.String(keyA)}}, wrap, kms.ErrUnavailable},
		"Encrypt into too long a blob":     {lying{encrypt: awssdk.EncryptOutput{KeyId: aws.String(keyA), CiphertextBlob: make([]byte, kms.MaxBlob+1)}}, wrap, kms.ErrUnavailable},
		"GenerateDataKey of 16 bytes":      {lying{generate: awssdk.GenerateDataKeyOutput{KeyId: aws.String(keyA), CiphertextBlob: blob, Plaintext: make([]byte, 16)}}, generate, kms.ErrUnavailable},
		"GenerateDataKey with another key": {lying{generate: awssdk.GenerateDataKeyOutput{KeyId: aws.String(keyB), CiphertextBlob: blob, Plaintext: full}}, generate, kms.ErrInvalid},
		"DescribeKey without metadata":     {lying{}, func(k *KMS) error { return k.Check(t.Context()) }, kms.ErrUnavailable},
		"DescribeKey of another key": {lying{describe: awssdk.DescribeKeyOutput{
			KeyMetadata: &types.KeyMetadata{Arn: aws.String(keyB)},
		}}, func(k *KMS) error { return k.Check(t.Context()) }, kms.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			k := must[*KMS](t)(New(t.Context(), Config{KeyID: keyA, Client: &c.answer}))
			wantError(t, c.call(k), c.kind)
		})
	}
}

// TestAnAnswerThatCannotBeReadIsNotInTheError answers with a data key in JSON
// that is broken behind it: the SDK keeps such a body in its error.
func TestAnAnswerThatCannotBeReadIsNotInTheError(t *testing.T) {
	canary := base64.StdEncoding.EncodeToString([]byte("canary canary canary canary 1234"))
	for name, body := range map[string]string{
		"cut off":         `{"Plaintext":"` + canary,
		"broken behind":   `{"Plaintext":"` + canary + `",}`,
		"of another type": `{"Plaintext":["` + canary + `"]}`,
		"not in base64":   `{"Plaintext":"!` + canary + `"}`,
		"no JSON":         canary,
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				_, _ = w.Write([]byte(body))
			}))
			defer server.Close()
			fake := awskmsfake.New()
			defer fake.Close()
			client := fake.Client(func(o *awssdk.Options) { o.BaseEndpoint = aws.String(server.URL) })
			k := must[*KMS](t)(New(t.Context(), Config{KeyID: keyA, Client: client}))
			_, _, err := k.Generate(t.Context(), binding)
			wantError(t, err, kms.ErrUnavailable)
			for e := err; e != nil; e = errors.Unwrap(e) {
				if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, "Y2FuYXJ5") {
					t.Errorf("the error shows the answer")
				}
			}
			var decoding *smithy.DeserializationError
			if errors.As(err, &decoding) {
				t.Errorf("the error holds the answer's body, %d bytes", len(decoding.Snapshot))
			}
		})
	}
}
