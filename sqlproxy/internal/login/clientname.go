package login

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

// CertName says which names of a client's certificate are its user's.
type CertName int

const (
	// NoName lets every certificate that counts stand for every user.
	NoName CertName = iota
	// CommonName is the subject's CN, as PostgreSQL's clientcert=verify-full has it.
	CommonName
	// AlternativeName is any DNS name, e-mail address or URI among the alternative names.
	AlternativeName
)

// CertUser lets certificates of a name log in as a user.
type CertUser struct{ Name, User string }

// validate says what is wrong with the leg's configuration.
func (e *Encryption) validate() error {
	var errs []error
	if e.ClientName < NoName || e.ClientName > AlternativeName {
		errs = append(errs, fmt.Errorf("login: Encryption.ClientName %d is unknown", e.ClientName))
	}
	if e.ClientName != NoName && e.ClientCAs == nil {
		errs = append(errs, errors.New("login: Encryption.ClientName needs certificates of the clients; set Encryption.ClientCAs"))
	}
	if e.ClientUsers != nil && e.ClientName == NoName {
		errs = append(errs, errors.New("login: Encryption.ClientUsers lists names, but which names count is not said; set Encryption.ClientName"))
	}
	for i, u := range e.ClientUsers {
		if u.Name == "" || u.User == "" {
			errs = append(errs, fmt.Errorf("login: Encryption.ClientUsers[%d] lacks a name or a user", i))
		}
	}
	return errors.Join(errs...)
}

// checkUser refuses a client whose certificate, nil without encryption, is not the user's.
func (e *Encryption) checkUser(cert *x509.Certificate, user string) error {
	if e.ClientName == NoName {
		return nil
	}
	if cert == nil {
		return unauthorized("connection requires a valid client certificate", "Connect with sslmode=require or stricter, sslcert and sslkey.")
	}
	names := e.namesOf(cert)
	for _, name := range names {
		if e.mayBe(name, user) {
			return nil
		}
	}
	return &Error{
		SQLState: stateUnauthorized, Message: fmt.Sprintf("certificate authentication failed for user %q", user),
		Hint:  "The names of the client's certificate do not allow this user.",
		Cause: fmt.Errorf("the certificate names %q", names),
	}
}

// mayBe reports whether a name stands for a user: for those that the list gives it, or, without a list, for
// the one of the very same name.
func (e *Encryption) mayBe(name, user string) bool {
	if e.ClientUsers == nil {
		return name == user
	}
	for _, u := range e.ClientUsers {
		if u.Name == name && u.User == user {
			return true
		}
	}
	return false
}

// commonName is the attribute CN of a subject.
var commonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// namesOf gives the certificate's names that count.
func (e *Encryption) namesOf(cert *x509.Certificate) (names []string) {
	if e.ClientName == AlternativeName {
		names = append(append(names, cert.DNSNames...), cert.EmailAddresses...)
		for _, u := range cert.URIs {
			names = append(names, u.String())
		}
		return names
	}
	for _, attribute := range cert.Subject.Names {
		if name, ok := attribute.Value.(string); ok && attribute.Type.Equal(commonName) {
			names = append(names, name)
		}
	}
	if len(names) > 1 {
		return nil // the server takes the first and others the last, so that nobody can say whose it is
	}
	return names
}
