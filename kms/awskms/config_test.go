package awskms

import (
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/awskms/awskmsfake"
)

func TestNewRefuses(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", "none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
	client := func(c *Config) { c.Client = &lying{} }
	for name, c := range map[string]struct {
		change func(c *Config)
		want   string
	}{
		"no KeyID":                            {func(c *Config) { c.KeyID = "" }, "KeyID"},
		"a KeyID without alias/":              {func(c *Config) { c.KeyID = "rowseal" }, "alias/NAME"},
		"the ARN of something else":           {func(c *Config) { c.KeyID = "arn:aws:s3:eu-west-1:111122223333:key/x" }, "KeyID"},
		"a key's ARN with a space behind":     {func(c *Config) { c.KeyID += " " }, "KeyID"},
		"a Region that is not the key's":      {func(c *Config) { c.Region = "us-east-1" }, `region "eu-west-1"`},
		"a negative Timeout":                  {func(c *Config) { c.Timeout = -time.Second }, "Timeout"},
		"an account that is none":             {func(c *Config) { c.Accounts = []string{"1234"} }, "12 digits"},
		"a key of an account not in the list": {func(c *Config) { client(c); c.Accounts = []string{"999999999999"} }, "Accounts"},
		"an alias without a region":           {func(c *Config) { client(c); c.KeyID = "alias/a" }, "no region"},
		"an alias without any region":         {func(c *Config) { c.KeyID = "alias/a" }, "no region"},
		"an Endpoint beside a Client":         {func(c *Config) { client(c); c.Endpoint = "https://vpce.example" }, "no Client"},
		"an Endpoint that is no URL":          {func(c *Config) { c.Endpoint = "vpce.example" }, "https://host:port"},
		"an Endpoint with a password":         {func(c *Config) { c.Endpoint = "https://u:p@vpce.example" }, "https://host:port"},
		"an Endpoint without encryption":      {func(c *Config) { c.Endpoint = "http://vpce.example" }, "unencrypted"},
		"an Endpoint that sounds local":       {func(c *Config) { c.Endpoint = "http://localhost.example" }, "unencrypted"},
		"an Endpoint of another scheme":       {func(c *Config) { c.Endpoint = "ftp://vpce.example" }, "scheme"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{KeyID: keyA}
			c.change(&cfg)
			_, err := New(t.Context(), cfg)
			wantError(t, err, kms.ErrInvalid, "kms: aws: open", c.want)
		})
	}
}

func TestNewRefusesAClientOfAnotherRegion(t *testing.T) {
	fake := awskmsfake.New()
	t.Cleanup(fake.Close)
	_, err := New(t.Context(), Config{KeyID: keyA, Client: fake.Region("us-east-1").Client()})
	wantError(t, err, kms.ErrInvalid, `"us-east-1", not "eu-west-1"`)
}

func TestNewMakesAClientFromTheEnvironment(t *testing.T) {
	fake := awskmsfake.New()
	t.Cleanup(fake.Close)
	fake.SetAlias(alias, fake.CreateKey())
	t.Setenv("AWS_ACCESS_KEY_ID", awskmsfake.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", awskmsfake.SecretAccessKey)
	t.Setenv("AWS_SESSION_TOKEN", "")
	t.Setenv("AWS_REGION", awskmsfake.DefaultRegion)
	t.Setenv("AWS_CONFIG_FILE", "none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
	k := must[*KMS](t)(New(t.Context(), Config{KeyID: alias, Endpoint: fake.URL()}))
	must[[]byte](t)(k.Unwrap(t.Context(), wrap(t, k), binding))
	if k.scope.region != awskmsfake.DefaultRegion || k.timeout != DefaultTimeout {
		t.Errorf("the region is %q and the timeout %v", k.scope.region, k.timeout)
	}
}

func TestNewAcceptsEveryWayToNameAKey(t *testing.T) {
	for _, keyID := range []string{
		keyA, "alias/rowseal", "alias/team/rowseal_1", "arn:aws:kms:eu-west-1:111122223333:alias/rowseal",
		"00000000-0000-0000-0000-00000000000a", "mrk-0000000000000000000000000000000a",
		"arn:aws:kms:eu-west-1:111122223333:key/mrk-0000000000000000000000000000000a",
	} {
		if _, err := New(t.Context(), Config{KeyID: keyID, Region: "eu-west-1", Client: &lying{}}); err != nil {
			t.Errorf("%s: %v", keyID, err)
		}
	}
}

func TestEndpointsOnThisMachineAndMarkedOnesMayBePlainHTTP(t *testing.T) {
	for endpoint, insecure := range map[string]bool{
		"http://127.0.0.1:4566": false, "http://[::1]:4566": false, "http://localhost:4566": false,
		"https://vpce.example": false, "http://localstack:4566": true,
	} {
		if err := checkEndpoint(endpoint, insecure); err != nil {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

func TestWhichRootKeysAScopeServes(t *testing.T) {
	const (
		uuid = "00000000-0000-0000-0000-00000000000a"
		mrk  = "mrk-0000000000000000000000000000000a"
	)
	open := newScope("eu-west-1", "", nil)
	listed := newScope("eu-west-1", "", []string{"111122223333"})
	china := newScope("cn-north-1", "", nil)
	for _, c := range []struct {
		scope   scope
		rootKey string
		want    string
	}{
		{open, "arn:aws:kms:eu-west-1:111122223333:key/" + uuid, "arn:aws:kms:eu-west-1:111122223333:key/" + uuid},
		{open, "arn:aws:kms:eu-west-1:999999999999:key/" + uuid, "arn:aws:kms:eu-west-1:999999999999:key/" + uuid},
		{open, "arn:aws:kms:us-east-1:111122223333:key/" + mrk, "arn:aws:kms:eu-west-1:111122223333:key/" + mrk},
		{open, "arn:aws:kms:us-east-1:111122223333:key/" + uuid, ""},
		{open, "arn:aws-cn:kms:eu-west-1:111122223333:key/" + uuid, ""},
		{open, "arn:aws-cn:kms:cn-north-1:111122223333:key/" + mrk, ""},
		{china, "arn:aws-cn:kms:cn-north-1:111122223333:key/" + uuid, "arn:aws-cn:kms:cn-north-1:111122223333:key/" + uuid},
		{listed, "arn:aws:kms:eu-west-1:111122223333:key/" + uuid, "arn:aws:kms:eu-west-1:111122223333:key/" + uuid},
		{listed, "arn:aws:kms:eu-west-1:999999999999:key/" + uuid, ""},
		{listed, "arn:aws:kms:us-east-1:999999999999:key/" + mrk, ""},
		{open, uuid, ""},
		{open, "alias/a", ""},
		{open, "arn:aws:kms:eu-west-1:111122223333:alias/a", ""},
		{open, "arn:aws:kms:eu-west-1:111122223333:key/" + strings.ToUpper(uuid), ""},
		{open, "arn:aws:kms:eu-west-1:111122223333:key/" + uuid + "\n", ""},
		{open, "arn:aws:kms:eu-west-1:11112222333:key/" + uuid, ""},
		{open, "arn:aws:kms:" + strings.Repeat("x", 255) + ":111122223333:key/" + mrk, ""},
		{open, "arn:aws" + strings.Repeat("-x", 128) + ":kms:eu-west-1:111122223333:key/" + uuid, ""},
	} {
		got, ok := c.scope.serve(c.rootKey)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s in %s: got %q, %v; want %q", c.rootKey, c.scope.region, got, ok, c.want)
		}
	}
}

func TestPartitionsFollowFromRegions(t *testing.T) {
	for region, want := range map[string]string{
		"eu-west-1": "aws", "us-east-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov",
		"us-iso-east-1": "aws-iso", "us-isob-east-1": "aws-iso-b", "us-isof-south-1": "aws-iso-f",
		"eu-isoe-west-1": "aws-iso-e", "eusc-de-east-1": "aws-eusc",
	} {
		if got := partitionOf(region); got != want {
			t.Errorf("%s is in %s, want %s", region, got, want)
		}
	}
}
