// Package awskmsfake is a fake of AWS KMS for tests and demonstrations.
//
// It speaks the service's own protocol (AWS JSON 1.1 over HTTP), so that the
// real SDK is what drives it:
//
//	fake := awskmsfake.New()
//	defer fake.Close()
//	keyARN := fake.CreateKey()
//	fake.SetAlias("alias/rowseal", keyARN)
//	client := fake.Client() // a *kms.Client of aws-sdk-go-v2
//
// What it does: keys with several key materials (automatic, on-demand and
// imported rotation), aliases, encryption contexts, Encrypt, Decrypt, ReEncrypt,
// GenerateDataKey with and without plaintext, disabled keys, scheduled deletion,
// imported material, multi-Region keys; the errors of the service in its own
// words for them; faults on demand ([Fake.Throttle], [Fake.Fail5xx],
// [Fake.Delay], [Fake.Down], [Fake.Deny]); counters and a log of calls.
//
// What it does not: policies, grants, tags, asymmetric and HMAC cryptography,
// custom key stores; it looks at a request's access key and region but does
// not verify the signature. Imported material is taken as it is, 32 bytes, in
// place of the service's RSA wrapping.
//
// Like the service, it refuses a ciphertext when Decrypt names another key than
// the one that made it. So with KeyId=alias, what was made before the alias
// moved is refused; without KeyId it opens.
//
// It is no key management service: its keys live in memory and end with it.
package awskmsfake

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

// What every fake has in common. The secret key is that of AWS's own examples;
// a shorter one would not run under GODEBUG=fips140=only, where the SDK's
// signatures need 10 bytes or more.
const (
	Account         = "111122223333"
	DefaultRegion   = "eu-west-1"
	AccessKeyID     = "AKIAIOSFODNN7EXAMPLE"
	SecretAccessKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// Fake is AWS KMS in one region of one account. It is an http.Handler, and
// serves on a port of 127.0.0.1 from [New] to [Fake.Close]. It is safe for
// concurrent use.
type Fake struct {
	cloud     *cloud
	region    string
	server    *http.Server
	listener  net.Listener
	transport *http.Transport
	closed    chan struct{}
	known     map[string]operation

	// Guarded by cloud.mu.
	keys    map[string]*key // by key id
	aliases map[string]*alias
	faults  faults
	counts  map[string]int
	log     []Call
}

// cloud is what the regions of one account share.
type cloud struct {
	mu      sync.Mutex
	regions map[string]*Fake
}

var _ http.Handler = (*Fake)(nil)

// New starts a fake in [DefaultRegion]. It panics where no port of 127.0.0.1
// can be had.
func New() *Fake {
	c := &cloud{regions: map[string]*Fake{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.start(DefaultRegion)
}

// start serves another region. The caller holds c.mu.
func (c *cloud) start(region string) *Fake {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic("awskmsfake: " + err.Error())
	}
	f := &Fake{
		cloud:     c,
		region:    region,
		listener:  listener,
		transport: &http.Transport{MaxIdleConnsPerHost: 64},
		closed:    make(chan struct{}),
		known:     operations(),
		keys:      map[string]*key{},
		aliases:   map[string]*alias{},
		counts:    map[string]int{},
	}
	c.regions[region] = f
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := f.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic("awskmsfake: " + err.Error())
		}
	}()
	return f
}

// Region returns the fake of another region of the same account, started when
// it is first asked for. It has keys and aliases of its own; multi-Region keys
// get there by ReplicateKey.
func (f *Fake) Region(name string) *Fake {
	f.cloud.mu.Lock()
	defer f.cloud.mu.Unlock()
	if other, ok := f.cloud.regions[name]; ok {
		return other
	}
	return f.cloud.start(name)
}

// Name returns the region's name.
func (f *Fake) Name() string { return f.region }

// URL returns the endpoint, "http://127.0.0.1:" and the port.
func (f *Fake) URL() string { return "http://" + f.listener.Addr().String() }

// Client returns a client of the real SDK for this fake. It retries as the
// SDK does by default, three attempts, but waits at most 5 ms between them.
func (f *Fake) Client(options ...func(*kms.Options)) *kms.Client {
	return kms.New(kms.Options{
		Region:       f.region,
		BaseEndpoint: aws.String(f.URL()),
		Credentials:  credentials.NewStaticCredentialsProvider(AccessKeyID, SecretAccessKey, ""),
		HTTPClient:   &http.Client{Transport: f.transport},
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxBackoff = 5 * time.Millisecond
			o.RateLimiter = ratelimit.None
		}),
	}, options...)
}

// Close ends all regions of the fake. Requests under way are cut off.
func (f *Fake) Close() {
	f.cloud.mu.Lock()
	regions := slices.Collect(maps.Values(f.cloud.regions))
	f.cloud.mu.Unlock()
	for _, region := range regions {
		region.stop()
	}
}

func (f *Fake) stop() {
	select {
	case <-f.closed:
		return
	default:
	}
	close(f.closed)
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // do not wait for requests
	_ = f.server.Shutdown(ctx)
	_ = f.server.Close()
	f.transport.CloseIdleConnections()
}
