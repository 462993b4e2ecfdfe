package awskms

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
)

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// validate checks what can be known without the client and the service, and
// returns what KeyID says.
func (cfg Config) validate() (target, error) {
	t, ok := parseKeyID(cfg.KeyID)
	if !ok {
		return t, fmt.Errorf("config: KeyID %q is not a key's ARN, a key id, alias/NAME or an alias's ARN", cfg.KeyID)
	}
	if cfg.Region != "" && t.region != "" && cfg.Region != t.region {
		return t, fmt.Errorf("config: KeyID is in region %q and Region is %q: leave Region out, or name the replica there",
			t.region, cfg.Region)
	}
	if cfg.Timeout < 0 {
		return t, fmt.Errorf("config: Timeout is %v: it must not be negative", cfg.Timeout)
	}
	for _, account := range cfg.Accounts {
		if !accountID.MatchString(account) {
			return t, fmt.Errorf("config: account %q is not an AWS account: 12 digits", account)
		}
	}
	if cfg.Endpoint == "" {
		return t, nil
	}
	if cfg.Client != nil {
		return t, errors.New("config: Endpoint goes with no Client: set the endpoint in the client")
	}
	return t, checkEndpoint(cfg.Endpoint, cfg.InsecureEndpoint)
}

// checkEndpoint refuses to send data keys in the clear to another machine.
func checkEndpoint(endpoint string, insecure bool) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil {
		return errors.New("config: Endpoint is not a URL of the form https://host:port")
	}
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (insecure || isThisMachine(u.Hostname())):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("config: Endpoint http://%s would carry data keys unencrypted: use https", u.Host)
	}
	return fmt.Errorf("config: Endpoint has scheme %q: use https", u.Scheme)
}

func isThisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
