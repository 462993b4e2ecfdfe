// Package child runs the programs of database servers so that none of them outlives this process.
//
// A program runs as an [Account], because servers refuse to run as root, and as a [Process] of its own
// group. A [Watchdog] stops the server and removes its directory when this process is killed.
package child
