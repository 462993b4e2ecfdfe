package scram

import (
	"crypto"
	_ "crypto/sha256" // the hashes that certificates name
	_ "crypto/sha512"
	"crypto/x509"
)

// EndPoint gives the channel binding tls-server-end-point of a server's certificate: its hash by the
// hash function of its signature, with SHA-256 in place of MD5 and SHA-1 (RFC 5929, section 4.1). It is nil
// where the signature has no single hash function, as with Ed25519: such a channel cannot be bound.
func EndPoint(cert *x509.Certificate) []byte {
	var hash crypto.Hash
	switch cert.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256, x509.DSAWithSHA256:
		hash = crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		hash = crypto.SHA512
	default:
		return nil
	}
	h := hash.New()
	h.Write(cert.Raw)
	return h.Sum(nil)
}
