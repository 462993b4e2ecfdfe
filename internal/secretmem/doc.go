// Package secretmem runs code that handles keys. Built with
// GOEXPERIMENT=runtimesecret it uses runtime/secret, which erases registers,
// stack and heap allocations of that code once they are unreachable;
// otherwise it is a plain call.
package secretmem
