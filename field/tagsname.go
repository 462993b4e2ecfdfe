package field

import (
	"strings"
	"unicode/utf8"
)

// initialisms are the abbreviations that GORM's naming strategy keeps
// together, in its order: https://github.com/go-gorm/gorm/blob/master/schema/naming.go
var initialisms = []string{
	"API", "ASCII", "CPU", "CSS", "DNS", "EOF", "GUID", "HTML", "HTTP", "HTTPS", "ID", "IP", "JSON", "LHS", "QPS", "RAM",
	"RHS", "RPC", "SLA", "SMTP", "SSH", "TLS", "TTL", "UID", "UI", "UUID", "URI", "URL", "UTF8", "VM", "XML", "XSRF", "XSS",
}

// snakeCase is the column that GORM's default naming strategy gives a field:
// "OrgID" is "org_id", "HTTPServer" "http_server".
func snakeCase(name string) string {
	pairs := make([]string, 0, 2*len(initialisms))
	for _, s := range initialisms {
		pairs = append(pairs, s, s[:1]+strings.ToLower(s[1:]))
	}
	s := strings.NewReplacer(pairs...).Replace(name)
	var b strings.Builder
	lastUpper := false
	for i, c := range s {
		next := i + utf8.RuneLen(c)
		upper := upperAt(s, i)
		switch {
		case !upper:
			b.WriteRune(c)
		case next == len(s):
			if !lastUpper && i > 0 {
				b.WriteByte('_')
			}
			b.WriteRune(c + 'a' - 'A')
		default:
			digit := s[next] >= '0' && s[next] <= '9'
			inside := lastUpper && (upperAt(s, next) || digit)
			if !inside && i > 0 && s[i-1] != '_' && s[next] != '_' {
				b.WriteByte('_')
			}
			b.WriteRune(c + 'a' - 'A')
		}
		lastUpper = upper
	}
	return b.String()
}

func upperAt(s string, i int) bool { return s[i] >= 'A' && s[i] <= 'Z' }
