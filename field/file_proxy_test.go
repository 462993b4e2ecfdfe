package field

import (
	"reflect"
	"testing"
)

func TestWrongLoginsOfTheProxyAreRefused(t *testing.T) {
	const (
		sizes = "; accepted: a size from 1kB to 1GB, such as 512kB or 16MB"
		tls   = "tls: {cert: c, key: k, "
	)
	for _, tt := range []struct{ name, text, want string }{
		{
			"a password in the file", "auth: {users: u, service: {user: s, password: canary}}",
			`f:1:45: proxy.auth.service.password: unknown word "password"; accepted: user, password_file, password_env`,
		},
		{"two passwords", "auth: {users: u, service: {user: s, password_file: f, password_env: E}}", "f:1:35: proxy.auth.service: has both password_file and password_env; keep one"},
		{"a service without user", "auth: {users: u, service: {password_env: E}}", "f:1:35: proxy.auth.service: names no user"},
		{"a service alone", "auth: {service: {user: s}}", "f:1:15: proxy.auth: does not say who the users are; add users: FILE or query: SQL"},
		{"no iterations", "auth: {users: u, mock: {iterations: 0}}", "f:1:45: proxy.auth.mock.iterations: is too small; accepted: 1 to 10000000"},
		{"a mock without words", "auth: {users: u, mock: {}}", "f:1:32: proxy.auth.mock: is empty; accepted: secret_file, iterations"},
		{"a name without authority", tls + "client_name: cn}", "f:1:45: proxy.tls.client_name: goes with client_ca, which has clients show a certificate; add it"},
		{"an unknown name", tls + "client_ca: a, client_name: dn}", `f:1:59: proxy.tls.client_name: unknown word "dn", did you mean "cn"?; accepted: cn, san`},
		{
			"users without a name", tls + "client_ca: a, client_users: [{name: n, user: u}]}",
			"f:1:60: proxy.tls.client_users: goes with client_name, which says what name of a certificate counts; add it",
		},
		{"no users", tls + "client_ca: a, client_name: cn, client_users: []}", "f:1:77: proxy.tls.client_users: is no list; accepted: [{name: NAME, user: USER}]"},
		{"a name of nobody", tls + "client_ca: a, client_name: cn, client_users: [{name: n}]}", "f:1:78: proxy.tls.client_users[0]: needs both name, of a certificate, and user"},
		{"a policy of function calls that is none", "function_calls: true", "f:1:25: proxy.function_calls: is true or false, not a word; accepted: refuse, allow"},
		{"an unknown policy of function calls", "function_calls: pass", `f:1:25: proxy.function_calls: unknown word "pass"; accepted: refuse, allow`},
		{"a size without a unit", "max_statement: 5", "f:1:24: proxy.max_statement: is a number without a unit" + sizes},
		{"a size of nothing", "max_statement: 0kB", "f:1:24: proxy.max_statement: is too small" + sizes},
		{"a negative size", "max_message: -1kB", "f:1:22: proxy.max_message: is negative" + sizes},
		{"a size above the most", "max_message: 1025MB", "f:1:22: proxy.max_message: is too large" + sizes},
		{"a size beyond 64 bits", "max_message: 99999999999999999999kB", "f:1:22: proxy.max_message: is too large" + sizes},
		{"a size in another unit", "max_message: 16MiB", "f:1:22: proxy.max_message: is not a size" + sizes},
		{"a size with a blank", "max_message: 16 MB", "f:1:22: proxy.max_message: is not a size" + sizes},
		{"a list of sizes", "max_message: []", "f:1:22: proxy.max_message: is a list, not text"},
	} {
		t.Run(tt.name, func(t *testing.T) { checkRefused(t, "proxy: {"+tt.text+"}", tt.want) })
	}
}

func TestSizesHaveTheServersUnits(t *testing.T) {
	for s, want := range map[string]int{"1kB": 1 << 10, "16MB": 16 << 20, "1GB": 1 << 30, "1024MB": 1 << 30, "3kB": 3 << 10} {
		if got, problem := parseSize(s, minSize, maxSize); got != want || problem != "" {
			t.Errorf("%s: %d %s", s, got, problem)
		}
	}
	for n, want := range map[int]string{1 << 10: "1kB", 3 << 20: "3MB", 1 << 30: "1GB", 1<<20 + 1<<10: "1025kB"} {
		if got := formatSize(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestSectionsOfTheProxyMayBeSilent(t *testing.T) {
	f, err := ParseFile("f", []byte("proxy: {auth: {query: SELECT 1, service: {user: s}}, tls: {cert: c, key: k, client_ca: a, client_name: cn}, function_calls: refuse}"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Proxy{
		Auth: ProxyAuth{Query: "SELECT 1", Service: ProxyService{User: "s"}},
		TLS:  ProxyTLS{Cert: "c", Key: "k", ClientCA: "a", ClientName: CommonName},
	}
	if !reflect.DeepEqual(f.Proxy, want) {
		t.Errorf("got %+v", f.Proxy)
	}
}
