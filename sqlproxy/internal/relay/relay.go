// Package relay carries messages between a client that is logged in and its
// server, and knows what each answer belongs to.
package relay
