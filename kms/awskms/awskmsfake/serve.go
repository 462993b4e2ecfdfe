package awskmsfake

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

const targetPrefix = "TrentService."

// maxRequest bounds a request's body: a ciphertext of 6,144 bytes in base64
// and an encryption context are far below.
const maxRequest = 1 << 20

// operation carries out one operation of the service on its JSON input. It
// notes in c what the log shows. The caller holds the lock.
type operation func(f *Fake, c *Call, input []byte) (output any, err error)

// op makes an operation of a function on a decoded input.
func op[In any](run func(f *Fake, c *Call, in In) (any, error)) operation {
	return func(f *Fake, c *Call, input []byte) (any, error) {
		var in In
		if err := json.Unmarshal(input, &in); err != nil {
			return nil, newError("SerializationException", "the request is not what the operation takes")
		}
		return run(f, c, in)
	}
}

// operations are those that the fake offers, by their names in X-Amz-Target.
func operations() map[string]operation {
	return map[string]operation{
		"CreateKey":                       op((*Fake).createKey),
		"DescribeKey":                     op((*Fake).describeKey),
		"ListKeys":                        op((*Fake).listKeys),
		"EnableKey":                       op((*Fake).enableKey),
		"DisableKey":                      op((*Fake).disableKey),
		"ScheduleKeyDeletion":             op((*Fake).scheduleKeyDeletion),
		"CancelKeyDeletion":               op((*Fake).cancelKeyDeletion),
		"ReplicateKey":                    op((*Fake).replicateKey),
		"CreateAlias":                     op((*Fake).createAlias),
		"UpdateAlias":                     op((*Fake).updateAlias),
		"DeleteAlias":                     op((*Fake).deleteAlias),
		"ListAliases":                     op((*Fake).listAliases),
		"Encrypt":                         op((*Fake).encrypt),
		"Decrypt":                         op((*Fake).decrypt),
		"ReEncrypt":                       op((*Fake).reEncrypt),
		"GenerateDataKey":                 op((*Fake).generateDataKey),
		"GenerateDataKeyWithoutPlaintext": op((*Fake).generateDataKeyWithoutPlaintext),
		"EnableKeyRotation":               op((*Fake).enableKeyRotation),
		"DisableKeyRotation":              op((*Fake).disableKeyRotation),
		"GetKeyRotationStatus":            op((*Fake).getKeyRotationStatus),
		"RotateKeyOnDemand":               op((*Fake).rotateKeyOnDemand),
		"ListKeyRotations":                op((*Fake).listKeyRotations),
		"ImportKeyMaterial":               op((*Fake).importKeyMaterial),
		"DeleteImportedKeyMaterial":       op((*Fake).deleteImportedKeyMaterial),
	}
}

// ServeHTTP answers one request of the service's protocol.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, found := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	run, known := f.known[name]
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		answer(w, nil, newError("SerializationException", "the request could not be read"))
		return
	}
	if r.Method != http.MethodPost || !found || !known {
		answer(w, nil, newError("UnknownOperationException", ""))
		return
	}
	f.cloud.mu.Lock()
	f.counts[name]++
	wait, hangUp, fault := f.faults.next(name)
	f.cloud.mu.Unlock()
	if !f.wait(r, wait) || hangUp {
		panic(http.ErrAbortHandler) // net/http closes the connection without an answer
	}
	if fault == nil {
		fault = f.authenticate(r)
	}
	output, err := f.carryOut(name, run, body, fault)
	answer(w, output, err)
}

// carryOut runs an operation, unless fault keeps it from that, and logs it.
func (f *Fake) carryOut(name string, run operation, body []byte, fault error) (output any, err error) {
	f.cloud.mu.Lock()
	defer f.cloud.mu.Unlock()
	call := Call{Operation: name}
	if err = fault; err == nil {
		output, err = run(f, &call, body)
	}
	var failed *apiError
	if errors.As(err, &failed) {
		call.Error = failed.Type
	}
	f.log = append(f.log, call)
	return output, err
}

// wait returns false when the request or the fake ended before d had passed.
func (f *Fake) wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-f.closed:
	}
	return false
}

// authenticate looks at who signed the request and for which region. It does
// not verify the signature.
func (f *Fake) authenticate(r *http.Request) error {
	fields := strings.FieldsFunc(r.Header.Get("Authorization"), func(c rune) bool { return c == ' ' || c == ',' })
	if len(fields) < 2 || fields[0] != "AWS4-HMAC-SHA256" {
		return newError("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	scope := strings.Split(strings.TrimPrefix(fields[1], "Credential="), "/")
	if len(scope) != 5 || scope[3] != "kms" {
		return newError("IncompleteSignatureException", "Credential must have five parts and name the service kms")
	}
	if scope[0] != AccessKeyID {
		return newError("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	if scope[2] != f.region {
		return newError("InvalidSignatureException", "Credential should be scoped to a valid region.")
	}
	return nil
}

func answer(w http.ResponseWriter, output any, err error) {
	header := w.Header()
	header.Set("Content-Type", "application/x-amz-json-1.1")
	header.Set("X-Amzn-Requestid", rand.Text())
	if err != nil {
		failed := new(apiError)
		if !errors.As(err, &failed) {
			failed = newError("KMSInternalException", "")
		}
		w.WriteHeader(failed.status)
		_ = json.NewEncoder(w).Encode(failed) // the client may be gone
		return
	}
	if output == nil {
		return // operations without output answer with no body
	}
	_ = json.NewEncoder(w).Encode(output)
}
