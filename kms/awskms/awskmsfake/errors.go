package awskmsfake

import "net/http"

// apiError is an error as the service writes it.
type apiError struct {
	Type    string `json:"__type"`
	Message string `json:"message,omitempty"`
	status  int
}

func (e *apiError) Error() string { return e.Type + ": " + e.Message }

// newError returns an error with the HTTP status that the service's model
// gives to its type: 400 unless it is the service's own fault.
func newError(kind, message string) *apiError {
	status := http.StatusBadRequest
	switch kind {
	case "KMSInternalException", "KeyUnavailableException":
		status = http.StatusInternalServerError
	case "DependencyTimeoutException":
		status = http.StatusServiceUnavailable
	}
	return &apiError{Type: kind, Message: message, status: status}
}

func invalid(message string) *apiError {
	return newError("ValidationException", "1 validation error detected: "+message)
}

func notFound(message string) *apiError { return newError("NotFoundException", message) }

// errCiphertext carries no message, as with the service: it says of an altered
// ciphertext no more than of another encryption context.
func errCiphertext() *apiError { return newError("InvalidCiphertextException", "") }
