#!/usr/bin/env bash
# Runs every fuzz target whose name matches, one after the other: scripts/fuzz.sh TIME REGEXP
# Inputs that fail are written to the package's testdata/fuzz; check them in with the mend.
set -euo pipefail
cd "$(dirname "$0")/.."

fuzztime=$1
names=$2
found=0
failed=()
while IFS=: read -r file line; do
	name=${line#func }
	name=${name%%(*}
	[[ $name =~ $names ]] || continue
	found=1
	package=./$(dirname "$file")
	echo "== $package $name, $fuzztime"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$fuzztime" "$package" || failed+=("$package $name")
done < <(git ls-files --cached --others --exclude-standard -- '*_test.go' ':!tools' |
	xargs -r grep -HE '^func Fuzz[A-Za-z0-9_]*\(' | sort)

if [[ $found -eq 0 ]]; then
	echo "no fuzz target matches \"$names\"" >&2
	exit 1
fi
if [[ ${#failed[@]} -gt 0 ]]; then
	printf 'failed: %s\n' "${failed[@]}" >&2
	exit 1
fi
