// Package wire frames PostgreSQL's messages by hand: type byte, length, body.
package wire
