#!/usr/bin/env bash
# Runs govulncheck. What it finds fails; a vulnerability database that cannot be reached does not,
# because the tests must run without a network: that is said, and the run goes on.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
output=$(bin/govulncheck "$@" 2>&1) || status=$?
if [[ $status -ne 0 && $output == *"fetching vulnerabilities"* ]]; then
	echo "govulncheck: vulnerability database not reachable, not run"
	exit 0
fi
printf '%s\n' "$output"
exit "$status"
