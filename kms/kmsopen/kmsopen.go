// Package kmsopen opens the KMS that a URL names, as configuration files do.
//
//	local:///var/lib/rowseal/root.key
//	awskms:///alias/rowseal?region=eu-west-1
//	awskms:///arn:aws:kms:eu-west-1:111122223333:key/0123…?account=111122223333
//
// Programs that know their provider use its package, and need not link the
// others.
//
// # local
//
// The path is that of the key file, which must exist; see localkms. There are
// no parameters.
//
// # awskms
//
// The path, without its first slash, is the key's ARN or id, alias/NAME, or an
// alias's ARN; see awskms. Credentials come from the environment, as for the
// AWS CLI. The parameters, all optional:
//
//	region=eu-west-1             where the service is asked
//	endpoint=https://…           the service's URL, as of a VPC endpoint
//	insecure-endpoint=true       the endpoint may be http:// to another machine
//	account=111122223333         only this account's keys are used; may be repeated
//	timeout=10s                  for a call with all its retries
package kmsopen

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/awskms"
	"github.com/rowseal/rowseal/kms/localkms"
)

// accepted is what an error about a URL's scheme lists.
const accepted = "local:///path/to/root.key or awskms:///alias/NAME?region=REGION"

// Open returns the KMS that rawURL names. Errors are of type *kms.Error, of
// kind kms.ErrInvalid for a URL that is wrong. They do not repeat the URL, which
// may by mistake hold a password.
func Open(ctx context.Context, rawURL string) (kms.KMS, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, invalid("kms URL", errors.New("it is not a URL"))
	}
	open, ok := map[string]func(context.Context, *url.URL, url.Values) (kms.KMS, error){
		"local":  openLocal,
		"awskms": openAWS,
	}[u.Scheme]
	if !ok {
		return nil, invalid("kms URL", fmt.Errorf("its scheme is %q, not one that is known", u.Scheme))
	}
	if u.User != nil || u.Fragment != "" {
		return nil, invalid(u.Scheme, errors.New("it holds a user, a password or a fragment"))
	}
	if u.Opaque != "" || u.Host != "" || len(u.Path) < 2 {
		return nil, invalid(u.Scheme, errors.New("it has not three slashes and a path behind the scheme"))
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, invalid(u.Scheme, errors.New("its parameters cannot be read"))
	}
	return open(ctx, u, query)
}

func invalid(scheme string, cause error) error {
	return &kms.Error{
		Provider: scheme, Op: "open", Kind: kms.ErrInvalid, Err: cause,
		Remedy: "write " + accepted,
	}
}

func openLocal(_ context.Context, u *url.URL, query url.Values) (kms.KMS, error) {
	if err := checkQuery(u.Scheme, query); err != nil {
		return nil, err
	}
	k, err := localkms.Open(u.Path)
	if err != nil {
		return nil, err
	}
	return k, nil
}

func openAWS(ctx context.Context, u *url.URL, query url.Values) (kms.KMS, error) {
	err := checkQuery(u.Scheme, query, "region", "endpoint", "insecure-endpoint", "account", "timeout")
	if err != nil {
		return nil, err
	}
	cfg := awskms.Config{
		KeyID:    strings.TrimPrefix(u.Path, "/"),
		Region:   query.Get("region"),
		Endpoint: query.Get("endpoint"),
		Accounts: query["account"],
	}
	switch query.Get("insecure-endpoint") {
	case "", "false":
	case "true":
		cfg.InsecureEndpoint = true
	default:
		return nil, invalid(u.Scheme, errors.New("insecure-endpoint is neither true nor false"))
	}
	if s := query.Get("timeout"); s != "" {
		if cfg.Timeout, err = time.ParseDuration(s); err != nil || cfg.Timeout <= 0 {
			return nil, invalid(u.Scheme, errors.New("timeout is not a duration such as 10s"))
		}
	}
	k, err := awskms.New(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return k, nil
}

// checkQuery refuses parameters that are unknown, empty, or repeated where
// only one is used: each would otherwise be ignored without a word.
func checkQuery(scheme string, query url.Values, known ...string) error {
	for name, values := range query {
		if !slices.Contains(known, name) {
			return invalid(scheme, fmt.Errorf("parameter %q is unknown; known are: %s", name, orNone(known)))
		}
		if len(values) > 1 && name != "account" {
			return invalid(scheme, fmt.Errorf("parameter %q is given twice", name))
		}
		if slices.Contains(values, "") {
			return invalid(scheme, fmt.Errorf("parameter %q is empty", name))
		}
	}
	return nil
}

func orNone(known []string) string {
	if len(known) == 0 {
		return "none"
	}
	return strings.Join(known, ", ")
}
