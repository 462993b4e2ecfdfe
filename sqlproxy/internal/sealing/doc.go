// Package sealing carries out plans: it seals parameters and constants, makes
// search terms of them, and opens the rows of results.
//
// A constant is sealed in [Session.Text], a parameter in [Session.Bind]; both
// come by the same place, batch.run. Values of results are opened in
// [Opener.Row], those of COPY in [CopyOut.Row].
//
// Every error is a [*plan.Refusal], ready for the client: its SQLSTATE is the
// server's for a value that does not fit, XX001 for one that does not open, 57P03
// where a key cannot be had at the moment. None holds a value.
package sealing
