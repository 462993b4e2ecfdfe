// Package awskms is a KMS whose root keys are AWS KMS keys.
//
//	k, err := awskms.New(ctx, awskms.Config{KeyID: "alias/rowseal", Region: "eu-west-1"})
//
// Wrap is the service's Encrypt, Unwrap is Decrypt, Generate is GenerateDataKey
// and Rewrap is ReEncrypt, each with the [kms.Binding] as encryption context:
// the service refuses to decrypt for another one, and CloudTrail shows which
// tenant's and which purpose's key was used. Wrapped.RootKey is the ARN of the
// key that the service used, so that moving an alias to a new key is a rotation
// of the root key and everything wrapped before still unwraps.
//
// # Which root keys it serves
//
// Unwrap accepts the ARN of any KMS key in its own partition and region, and
// of a multi-Region key (mrk-…) of any region, for which it asks the replica in
// its own. Everything else is kms.ErrForeign, without a call. Which of these
// keys may be used is up to the caller's IAM policy. Set Config.Accounts unless
// that policy names the keys: whoever can write to the key store could otherwise
// put there a data key of his own, wrapped by a key of his own account.
//
// The key's ARN is always named to the service, and the ARN in its answer must
// be the same.
//
// # Permissions
//
// kms:Encrypt, kms:Decrypt, kms:GenerateDataKey, kms:ReEncryptFrom and
// kms:ReEncryptTo; kms:DescribeKey too when KeyID is not a key's ARN. [KMS.Age]
// needs kms:DescribeKey, kms:GetKeyRotationStatus and kms:ListKeyRotations.
//
// # Retries and time
//
// The SDK repeats requests that were throttled or failed on the service's side,
// three attempts unless the client (or AWS_MAX_ATTEMPTS) says otherwise. What
// comes back as kms.ErrThrottled or kms.ErrUnavailable has been through that.
// Config.Timeout bounds a call with all its attempts.
//
// # FIPS
//
// The SDK runs under GODEBUG=fips140=only, with a secret access key of 10 bytes
// or more (the service's have 40). Choose the service's FIPS endpoints with
// AWS_USE_FIPS_ENDPOINT=true.
//
// # Tests
//
// Package awskmsfake is a fake of the service.
package awskms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awssdk "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/rowseal/rowseal/kms"
)

const provider = "aws"

// DefaultTimeout is how long a call may take, retries included, unless
// Config.Timeout says otherwise.
const DefaultTimeout = 10 * time.Second

// API is what this package uses of the SDK's client.
type API interface {
	Encrypt(context.Context, *awssdk.EncryptInput, ...func(*awssdk.Options)) (*awssdk.EncryptOutput, error)
	Decrypt(context.Context, *awssdk.DecryptInput, ...func(*awssdk.Options)) (*awssdk.DecryptOutput, error)
	GenerateDataKey(context.Context, *awssdk.GenerateDataKeyInput, ...func(*awssdk.Options)) (*awssdk.GenerateDataKeyOutput, error)
	ReEncrypt(context.Context, *awssdk.ReEncryptInput, ...func(*awssdk.Options)) (*awssdk.ReEncryptOutput, error)
	DescribeKey(context.Context, *awssdk.DescribeKeyInput, ...func(*awssdk.Options)) (*awssdk.DescribeKeyOutput, error)
}

var _ API = (*awssdk.Client)(nil)

// Config says which key to wrap under and how to reach the service.
type Config struct {
	// KeyID names the root key that wraps: its ARN, its key id, an alias name
	// ("alias/…") or an alias ARN. It must be a symmetric encryption key.
	KeyID string
	// Client is the SDK's client. Without one, one is made from the
	// environment (credentials, region, endpoint) as by the AWS CLI.
	Client API
	// Region is where the service is asked. By default it is that of the
	// client, of KeyID when it is an ARN, or of the environment. It must not
	// contradict these.
	Region string
	// Endpoint is the service's URL when it is not the region's own, as for a
	// VPC endpoint. It is refused together with Client. It must be https://,
	// because data keys travel in the request, unless it leads to this machine.
	Endpoint string
	// InsecureEndpoint lets Endpoint be http:// to another machine. It is for
	// test networks.
	InsecureEndpoint bool
	// Accounts, when not empty, are the only AWS accounts (12 digits) whose
	// keys are used.
	Accounts []string
	// GrantTokens go with every request, for grants that are not yet known
	// everywhere in the service.
	GrantTokens []string
	// Timeout bounds a call with all its retries; 0 means DefaultTimeout.
	Timeout time.Duration
	// Clock is what the alias cache goes by; nil means time.Now.
	Clock func() time.Time
}

// KMS wraps data keys under a key of AWS KMS. It is safe for concurrent use.
type KMS struct {
	api         API
	keyID       string
	scope       scope
	fixed       string // the key's ARN when KeyID is one
	alias       bool   // KeyID is an alias, which can move
	grantTokens []string
	timeout     time.Duration
	clock       func() time.Time

	mu         sync.Mutex
	resolved   string // what KeyID led to, "" when not known
	resolvedAt time.Time
}

var (
	_ kms.KMS        = (*KMS)(nil)
	_ kms.Generator  = (*KMS)(nil)
	_ kms.Rewrapper  = (*KMS)(nil)
	_ kms.Aged       = (*KMS)(nil)
	_ slog.LogValuer = (*KMS)(nil)
)

// New returns a KMS for cfg. It sends nothing to the service, so that an
// application starts while the service is away; [KMS.Check] does. Its errors
// are of kind kms.ErrInvalid.
func New(ctx context.Context, cfg Config) (*KMS, error) {
	target, err := cfg.validate()
	if err != nil {
		return nil, openFailed(err)
	}
	api, region := cfg.Client, firstOf(cfg.Region, target.region)
	if api == nil {
		client, err := cfg.newClient(ctx, region)
		if err != nil {
			return nil, openFailed(err)
		}
		api = client
	}
	if has, ok := api.(interface{ Options() awssdk.Options }); ok {
		if clientRegion := has.Options().Region; region == "" {
			region = clientRegion
		} else if clientRegion != region {
			return nil, openFailed(fmt.Errorf("the client is for region %q, not %q", clientRegion, region))
		}
	}
	if region == "" {
		return nil, openFailed(errors.New("config: no region: set Region or AWS_REGION, or give the key's ARN as KeyID"))
	}
	k := &KMS{
		api:         api,
		keyID:       cfg.KeyID,
		scope:       newScope(region, target.partition, cfg.Accounts),
		alias:       target.alias,
		grantTokens: cfg.GrantTokens,
		timeout:     cfg.Timeout,
		clock:       cfg.Clock,
	}
	if target.isKeyARN() {
		k.fixed = cfg.KeyID
		if _, ok := k.scope.serve(cfg.KeyID); !ok {
			return nil, openFailed(errors.New("config: KeyID is of an account that is not among Accounts"))
		}
	}
	if k.timeout == 0 {
		k.timeout = DefaultTimeout
	}
	if k.clock == nil {
		k.clock = time.Now
	}
	return k, nil
}

func (cfg Config) newClient(ctx context.Context, region string) (*awssdk.Client, error) {
	var options []func(*config.LoadOptions) error
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	return awssdk.NewFromConfig(loaded, func(o *awssdk.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
	}), nil
}

// String names the key and the region.
func (k *KMS) String() string { return "awskms(" + k.keyID + ", " + k.scope.region + ")" }

// GoString is String, so that %#v prints no more.
func (k *KMS) GoString() string { return k.String() }

// LogValue is String, so that slog prints no more.
func (k *KMS) LogValue() slog.Value { return slog.StringValue(k.String()) }

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
