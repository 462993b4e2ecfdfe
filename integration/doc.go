// Package integration holds tests that put the house together: real data, real
// servers, through the front doors that applications use.
package integration
