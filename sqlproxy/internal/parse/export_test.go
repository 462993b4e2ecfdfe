package parse

// EngineScan is PostgreSQL's own scan, to compare with.
var EngineScan = engineScan
