package field

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// File is what a rowseal.yaml says. Every section may be left out; a file that
// says nothing at all is refused.
type File struct {
	// Namespace names the deployment and is bound into every value; at most
	// 255 bytes, "" where the file names none.
	Namespace string
	// DefaultTenant is `tenant: {default: …}`. Tables of Policy that say
	// nothing else have it already.
	DefaultTenant string
	// Keys is the section `keys`.
	Keys Keys
	// Policy is the section `tables`; never nil, without tables where the
	// section is missing.
	Policy *Policy
	// Proxy is the section `proxy`; nil where the section is missing.
	Proxy *Proxy
	// Rotation is the section `rotation`.
	Rotation Rotation
}

// Keys says where the keys come from. Zero values mean that the file is silent
// and the default of package keyring applies.
type Keys struct {
	// KMS holds the URLs of the root keys, in the file's order: one, or up to 16
	// that each wrap every tenant key. The schemes are for package kms to know.
	KMS []string
	// Store is where tenant keys are kept: "postgres" for the database with the
	// data, or a URL, "postgres://…", "mysql://…" or "sqlite:///path".
	Store string
	// Entries bounds the cache of tenant keys, 1 to 1,000,000.
	Entries int
	// TTL is how long a key is cached, above 0 and at most 1 hour.
	TTL time.Duration
	// Intermediate puts store keys between the KMS and the tenant keys.
	Intermediate bool
	// StrictFIPS is `suite: hkdf`. Columns that name no suite have it already.
	StrictFIPS bool
}

// maxFile is the largest policy file, in bytes: thousands of columns fit.
const maxFile = 1 << 18

// LoadFile reads the policy file at path. See [ParseFile].
func LoadFile(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("rowseal: policy file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("rowseal: policy file: %w", err)
	}
	return ParseFile(path, data)
}

// ParseFile reads a policy file; name stands for it in errors.
//
// It is strict: what it does not know it refuses, and so are YAML's anchors,
// tags, merges and further documents. The error joins up to 10 of type
// [*FileError], in the order of the file, each with line, column, the path of
// the key and the accepted words. Errors show no URL beyond its scheme, since
// there may be a password in it.
func ParseFile(name string, data []byte) (*File, error) {
	r := &fileReader{name: name}
	root := r.parse(data)
	if root == nil {
		return nil, r.err()
	}
	f := r.file(root)
	if err := r.err(); err != nil {
		return nil, err
	}
	return f, nil
}

// fileReader turns the tree of a file into a File and collects what is wrong.
type fileReader struct {
	name     string
	problems []*FileError
}

var (
	fileWords   = words{accepted: []string{"namespace", "keys", "tenant", "tables", "proxy", "rotation"}, later: []string{"roles"}}
	tenantWords = words{accepted: []string{"setting", "default"}}
	// The server's setting that holds a session's tenant has one name, so that all proxies agree on it.
	settingWords = words{accepted: []string{"rowseal.tenant"}}
)

func (r *fileReader) file(root *yamlNode) *File {
	f := &File{}
	sections := r.mapping(root, fileWords)
	if n := sections["namespace"]; n != nil {
		f.Namespace, _ = r.id(n)
	}
	if n := sections["keys"]; n != nil {
		f.Keys = r.keys(n)
	}
	if n := sections["tenant"]; n != nil {
		values := r.mapping(n, tenantWords)
		if d := values["default"]; d != nil {
			f.DefaultTenant, _ = r.id(d)
		}
		if s := values["setting"]; s != nil {
			r.word(s, settingWords)
		}
	}
	b := policyReader{
		fileReader: r, tenant: f.DefaultTenant, strictFIPS: f.Keys.StrictFIPS,
		tables: map[string]*yamlNode{}, columns: map[columnID]columnAt{},
	}
	f.Policy = b.policy(sections["tables"])
	if n := sections["proxy"]; n != nil {
		f.Proxy = r.proxy(n)
	}
	if n := sections["rotation"]; n != nil {
		f.Rotation = r.rotation(n)
	}
	return f
}

// err is what ParseFile returns; nil without problems.
func (r *fileReader) err() error {
	problems := sortedProblems(r.problems)
	errs := make([]error, 0, maxProblems+1)
	for _, p := range problems[:min(len(problems), maxProblems)] {
		errs = append(errs, p)
	}
	if len(problems) > maxProblems {
		errs = append(errs, fmt.Errorf("%s: there are more errors; these are the first %d", r.name, maxProblems))
	}
	return errors.Join(errs...)
}
