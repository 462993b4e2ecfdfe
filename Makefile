# The first target is what "make" alone does: it prints the lines below that carry two hashes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

GO       ?= go
PACKAGES ?= ./...
# One PostgreSQL and one MariaDB for all packages that a command tests, gone when the command ends.
WITHDB   := $(GO) run ./internal/testpg/withpg -mysql

FUZZTIME  ?= 10m
FUZZ      ?= .
BENCH     ?= .
BENCHTIME ?= 1s
COUNT     ?= 1

# Packages that hold keys, and so have tests of what stays in memory, built with runtime/secret.
SECRET_PACKAGES := $(patsubst %,./%,$(wildcard envelope keyring dekcache kms/localkms internal/secretmem))

.PHONY: help
help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: test
test: ensure lint vuln build ## everything that must pass before a change is merged
	@$(WITHDB) $(MAKE) test-race test-fips test-secret

.PHONY: quick
quick: ## tests without the race detector, and without those that need a server where none is
	$(GO) test -short $(PACKAGES)

.PHONY: demo
demo: ## seal, rotate and open 10,000 people in a PostgreSQL of its own
	@scripts/ensure.sh postgresql
	@$(GO) run ./cmd/rowseal demo

.PHONY: gorm-matrix
gorm-matrix: ## every operation of GORM on each database: ok, or refused and why
	@scripts/ensure.sh postgresql mysql
	@out=$$(mktemp); trap 'rm -f "$$out"' EXIT; \
	$(WITHDB) $(GO) test ./gormplugin -count=1 -run '^TestMatrix$$' -matrix "$$out" && code=0 || code=$$?; cat "$$out"; exit $$code

.PHONY: bench
bench: ## benchmarks (BENCH=regexp BENCHTIME=1s COUNT=1 PACKAGES=./...)
	@scripts/ensure.sh postgresql mysql
	@$(WITHDB) $(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -count $(COUNT) -benchmem -timeout 60m $(PACKAGES)

.PHONY: bench-proxy
bench-proxy: ## what the proxy costs, beside a direct connection, a bare relay and PgBouncer (20 minutes)
	@scripts/ensure.sh postgresql pgbouncer
	@$(GO) run ./integration/proxybench

.PHONY: bench-rotate
bench-rotate: ## rewrap and reseal on two connections beside paged SQL that writes as many bytes, a new root key, memory and KMS calls (ROWS=1000000); each line has its limits
	@scripts/ensure.sh postgresql
	@ROWS=$(or $(ROWS),1000000) $(GO) test ./rotate -run '^$$' -bench 'RewrapOfRowKeys|Reseal|RootKey|Process' -benchtime 1x -timeout 120m
	@ROWS=$(or $(ROWS),1000000) $(GO) test ./rotate/riverjob -run '^$$' -bench Rewrap -benchtime 1x -timeout 60m

.PHONY: bench-rotate-10m
bench-rotate-10m: ## jobs over 10,000,000 rows: rows/s, WAL, peak memory, KMS calls (not in CI)
	@scripts/ensure.sh postgresql
	@ROWS=$(or $(ROWS),10000000) $(GO) test ./rotate -run '^$$' -bench Process -benchtime 1x -timeout 300m

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME=10m (FUZZ=regexp of names)
	@scripts/ensure.sh postgresql mysql
	@$(WITHDB) scripts/fuzz.sh $(FUZZTIME) '$(FUZZ)'

.PHONY: cover
cover: ## how much of each package the tests reach
	@scripts/ensure.sh postgresql mysql
	@$(WITHDB) $(GO) test -coverprofile=cover.out $(PACKAGES)
	@$(GO) tool cover -func=cover.out | tail -n 1

.PHONY: lint
lint: bin/golangci-lint ## staticcheck, vet, errorlint, gofumpt, function length, doc comments
	@bin/golangci-lint run $(PACKAGES)

.PHONY: fmt
fmt: bin/golangci-lint ## format the code as lint wants it
	@bin/golangci-lint fmt

.PHONY: vuln
vuln: bin/govulncheck ## known vulnerabilities in what the code calls
	@scripts/vuln.sh $(PACKAGES)

.PHONY: build
build: ## compile and vet every package
	$(GO) build ./...
	$(GO) vet ./...

.PHONY: clean
clean: ## remove what make built
	rm -rf bin dist cover.out

# The parts of "make test", with the server that it started.

.PHONY: test-race
test-race:
	$(GO) test -race -timeout 30m $(PACKAGES)

.PHONY: test-fips
test-fips:
	GODEBUG=fips140=only $(GO) test -timeout 30m $(PACKAGES)

.PHONY: test-secret
test-secret:
	$(if $(SECRET_PACKAGES),GOEXPERIMENT=runtimesecret $(GO) test -timeout 30m $(SECRET_PACKAGES))

.PHONY: ensure
ensure:
	@scripts/ensure.sh cc postgresql mysql clients newest

bin/golangci-lint bin/govulncheck bin/benchstat: tools/go.mod tools/go.sum
	@echo "building the tools of tools/go.mod (a minute, once)"
	@cd tools && $(GO) build -o ../bin/ tool
	@touch bin/*
