#!/bin/sh
# Shows the proxy with psql: see README.md.
set -eu
: "${DATABASE_URL:?names no server; set it to postgres://USER:PASSWORD@HOST:PORT/DATABASE}"
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
port=${PORT:-6432}
rest=${DATABASE_URL#*://}
case $rest in
*@*) credentials=${rest%%@*}@ rest=${rest#*@} ;;
*) credentials= ;;
esac
server=${rest%%/*}
direct=postgres://$credentials$server/rowseal_example
through=postgres://${credentials}127.0.0.1:$port/rowseal_example?sslmode=disable

stop() {
	[ -z "${proxy:-}" ] || kill "$proxy" 2>/dev/null || true
	wait
	psql -qX "$DATABASE_URL" -c 'DROP DATABASE IF EXISTS rowseal_example'
	rm -rf "$dir"
}
trap stop EXIT

(cd "$here/../.." && go build -o "$dir/rowseal" ./cmd/rowseal)
sed -e "s|@DIR@|$dir|; s|@PORT@|$port|; s|@SERVER@|$server|" "$here/rowseal.yaml" >"$dir/rowseal.yaml"
"$dir/rowseal" keys create "$dir/root.key"
psql -qX "$DATABASE_URL" -c 'CREATE DATABASE rowseal_example'
psql -qX "$direct" -c 'CREATE TABLE people (id int PRIMARY KEY, ssn bytea, name bytea, city text)'
"$dir/rowseal" init -c "$dir/rowseal.yaml" --dsn "$direct"
"$dir/rowseal" proxy -c "$dir/rowseal.yaml" &
proxy=$!
tries=0
until psql -qX "$through" -c 'SELECT 1' >/dev/null 2>&1; do
	tries=$((tries + 1))
	[ "$tries" -lt 50 ] || { echo "the proxy does not answer" >&2; exit 1; }
	sleep 0.2
done

echo "-- what a client sees, through the proxy"
psql -X "$through" <<'SQL'
INSERT INTO people VALUES (1, '078-05-1120', 'Ada Lovelace', 'London'), (2, '219-09-9999', 'Alan Turing', 'London');
SELECT * FROM people WHERE ssn = '078-05-1120';
UPDATE people SET name = 'Ada, Countess of Lovelace' WHERE id = 1;
SELECT id, name FROM people ORDER BY id;
SELECT id FROM people WHERE ssn LIKE '078%';
SQL
echo "-- what the server holds"
psql -X "$direct" -c "SELECT id, left(encode(ssn, 'hex'), 24) || '…' AS ssn, left(encode(name, 'hex'), 24) || '…' AS name, city FROM people"
echo "-- what the server answers who writes past the proxy"
psql -X "$direct" -c "INSERT INTO people VALUES (3, '987-65-4321', 'Eve', 'Rome')" || true
