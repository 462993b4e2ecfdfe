package wire

// eager is a connection that can be read without waiting, so that a stream which is busy
// need not write each time it has used up its input: a server sends a long
// result in pieces of 8 kB, and writes cost more than all else.
type eager interface {
	// ReadNow reads what has arrived. 0 says nothing about whether more will come: an ordinary
	// read says what is wrong, if anything is.
	ReadNow(p []byte) int
}
