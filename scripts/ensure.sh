#!/usr/bin/env bash
# Makes sure that this machine has what the tests need, and says how to get it where it cannot:
#
#   scripts/ensure.sh cc postgresql mysql
#
# cc          a C compiler, which the race detector links with
# postgresql  PostgreSQL's server programs, a server named by ROWSEAL_TEST_DSN, or Docker
# pgbouncer   PgBouncer and pgbench, which the proxy is measured with
# mysql       a MariaDB or MySQL server program, a server named by ROWSEAL_TEST_MYSQL, or Docker
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

missing=()
for need in "$@"; do
	case $need in
	cc) have_cc || missing+=(gcc libc6-dev) ;;
	postgresql) have_postgresql || missing+=(postgresql) ;;
	pgbouncer) need_pgbouncer ;;
	mysql) (have_mysql) || missing+=(mariadb-server) ;;
	*)
		echo "ensure.sh: unknown need \"$need\"; known: cc, postgresql, pgbouncer, mysql" >&2
		exit 2
		;;
	esac
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

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
