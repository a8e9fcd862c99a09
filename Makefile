# pg_courier: build, install, try and test.
#
#   make demo                     two throw-away clusters, live traffic, proof of equality (KEEP=1 leaves them)
#   make test                     prerequisites, unit tests, end-to-end tests
#   make install PG_CONFIG=...    build for that server and install into it (DESTDIR= is honoured)
#   make help                     everything else

.DEFAULT_GOAL := build
.NOTPARALLEL:
SHELL := /bin/sh

# --- settings -------------------------------------------------------------------

# Looked up when a recipe needs it, so that `make prereqs` may install it first.
PG_CONFIG ?= $(shell scripts/pg_config.sh)
PG_MAJOR   = $(shell $(PG_CONFIG) --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
PKGLIBDIR  = $(shell $(PG_CONFIG) --pkglibdir)
EXTDIR     = $(shell $(PG_CONFIG) --sharedir)/extension

# More cargo features, separated by commas. Test builds add the failpoints.
FEATURES ?=
comma    := ,
FEATURE_LIST = pg$(PG_MAJOR)$(if $(FEATURES),$(comma)$(FEATURES))

CARGO  ?= cargo
TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
# pgrx's build script asks this pg_config and no other.
CARGO_PG = PGRX_PG_CONFIG_PATH=$(PG_CONFIG) $(CARGO)

VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" pg_courier.control)
SCRIPT  := pg_courier--$(VERSION).sql
ifeq ($(shell uname),Darwin)
LIBRARY := $(TARGET)/release/libpg_courier.dylib
else
LIBRARY := $(TARGET)/release/libpg_courier.so
endif

INSTALL ?= install
DESTDIR ?=

# What the test programs need to know: the library to load and the server to copy.
TEST_ENV = PG_CONFIG=$(PG_CONFIG) COURIER_LIBRARY=$(abspath $(LIBRARY))
# Each end-to-end test runs two servers and its own traffic: two at a time fill a small machine.
E2E_THREADS ?= 2
# make test-e2e TEST=name runs the tests whose path contains the name.
TEST ?=

.PHONY: help prereqs build build-with-failpoints script install install-files package demo test test-build \
        test-unit old-releases test-support test-sql test-demo test-e2e test-nightly test-majors test-upward schema-check lint audit docs bench-copy bench-apply \
        bench-growth bench-precheck bench-schema bench-ddl clean

help:
	@echo 'make demo [KEEP=1]           mirror a live database to another one and prove that both are equal'
	@echo 'make test                    everything that CI runs'
	@echo 'make test-unit               pure code, no server'
	@echo 'make test-sql                SQL regression tests on one server'
	@echo 'make test-e2e [TEST=name]    end-to-end tests on private clusters (COURIER_SEED= repeats a random one)'
	@echo 'make test-nightly [TEST=]    the same in large sizes, with more accidents; for hours'
	@echo 'make test-majors [MAJORS=]   the same on servers of other majors, test-upward to such destinations'
	@echo 'make schema-check            on all majors: are dumps of both sides equal'
	@echo 'make lint                    rustfmt, clippy, layering; licences, sources, advisories of dependencies (audit: these alone)'
	@echo 'make docs                    write the pages that come from the code'
	@echo 'make build | install         for the server of PG_CONFIG=$(PG_CONFIG)'
	@echo 'make package                 dist/: what install copies, as a tarball'
	@echo 'make bench-apply bench-copy  against built-in logical replication in the same run'
	@echo 'make bench-growth            how the cost of applying grows with tables, columns, rows'
	@echo 'make bench-precheck          time and queries of a precheck of 10,000 tables'
	@echo 'make bench-schema            writing the definitions of 10,000 tables, and their arrival, against pg_dump'
	@echo 'make bench-ddl               what sessions pay for their commands on definitions while tasks follow them, and how long rows wait behind these'
	@echo 'make prereqs                 install what the build needs (Debian, Ubuntu)'

prereqs:
	@PG_CONFIG='$(if $(filter command line environment,$(origin PG_CONFIG)),$(PG_CONFIG))' scripts/prereqs.sh

# --- build and install ------------------------------------------------------------

build: script
	$(CARGO_PG) build --release --no-default-features \
	    --features $(FEATURE_LIST),pgrx/no-schema-generation

# Install and upgrade scripts are one file each for the server and many for people.
script: $(TARGET)/$(SCRIPT)

$(TARGET)/$(SCRIPT): $(wildcard sql/*.sql sql/upgrade/*.sql) sql/files.txt scripts/sql.sh pg_courier.control
	@scripts/sql.sh $(VERSION) $(TARGET)

install: build install-files

# Copies what is built. The tests call it with the pg_config of a private server copy.
install-files: script
	$(INSTALL) -d '$(DESTDIR)$(PKGLIBDIR)' '$(DESTDIR)$(EXTDIR)'
	$(INSTALL) -m 755 $(LIBRARY) '$(DESTDIR)$(PKGLIBDIR)/pg_courier.so'
	$(INSTALL) -m 644 pg_courier.control '$(DESTDIR)$(EXTDIR)/pg_courier.control'
	$(INSTALL) -m 644 $(TARGET)/pg_courier--*.sql '$(DESTDIR)$(EXTDIR)/'

package: build
	@rm -rf dist/stage && mkdir -p dist/stage
	@$(MAKE) --no-print-directory -s install-files PG_CONFIG='$(PG_CONFIG)' DESTDIR='$(abspath dist/stage)'
	@tar -C dist/stage --owner=0 --group=0 -czf \
	    dist/pg_courier-$(VERSION)-pg$(PG_MAJOR)-$$(uname -s | tr A-Z a-z)-$$(uname -m).tar.gz .
	@rm -rf dist/stage
	@ls -l dist/pg_courier-$(VERSION)-pg$(PG_MAJOR)-*

# --- see it work --------------------------------------------------------------------

demo: prereqs
	@$(MAKE) --no-print-directory build PG_CONFIG='$(PG_CONFIG)'
	@$(TEST_ENV) KEEP='$(KEEP)' $(CARGO) run --quiet --release -p pg_courier_tests --bin demo

# --- tests --------------------------------------------------------------------------

# The runner of the heaviest tests comes last, so the last lines are its verdict.
test: prereqs
	@$(MAKE) --no-print-directory lint lint-ali PG_CONFIG='$(PG_CONFIG)'
	@$(MAKE) --no-print-directory test-unit old-releases test-support test-sql test-demo PG_CONFIG='$(PG_CONFIG)'
	@$(MAKE) --no-print-directory test-ali MAJORS=15
	@$(MAKE) --no-print-directory test-e2e PG_CONFIG='$(PG_CONFIG)'

# Nobody measures the library of the tests: quick to build is what counts. That of the nightly form is built as the one that ships.
test-build:
	@CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	    $(MAKE) --no-print-directory build-with-failpoints PG_CONFIG='$(PG_CONFIG)'

build-with-failpoints:
	@$(MAKE) --no-print-directory build PG_CONFIG='$(PG_CONFIG)' FEATURES='$(FEATURES)$(if $(FEATURES),$(comma))failpoints'

test-unit:
	$(CARGO_PG) test --lib --no-default-features --features pg$(PG_MAJOR)

# Pages that are written from the code; test-unit fails when they are out of date.
docs:
	COURIER_ACCEPT=1 $(CARGO_PG) test --quiet --lib --no-default-features --features pg$(PG_MAJOR) the_page_of_

test-support:
	$(TEST_ENV) $(CARGO) test -p pg_courier_tests --lib --test layering --test support

# COURIER_ACCEPT=1 writes the expected output anew.
test-sql: test-build
	$(TEST_ENV) $(CARGO) test -p pg_courier_tests --test regress

# README's first command, with the library that the tests use.
test-demo: test-build
	@$(TEST_ENV) $(CARGO) run --quiet -p pg_courier_tests --bin demo

# What tests of upgrades begin with: built once, from the commits of tests/upgrade/releases.txt.
OLD_RELEASES = $(abspath $(TARGET))/old-releases/$(PG_MAJOR)
old-releases:
	@scripts/old_releases.sh $(PG_CONFIG) '$(OLD_RELEASES)'

# The format ali is compared with the plugin that it comes from.
test-e2e: test-build ali-decoding old-releases
	$(TEST_ENV) ALI_DECODING_DIST='$(ALI_DIST)' COURIER_OLD_RELEASES='$(OLD_RELEASES)' \
	    $(CARGO) test -p pg_courier_tests --test e2e -- --test-threads=$(E2E_THREADS) $(TEST)

# The end-to-end tests in their large sizes, one at a time: 10,000,000 rows, 900 MB values, 5,000 tables, 200 accidents.
# Takes hours, 30 GB of disk and 8 GB of memory. Prints what it measured.
test-nightly: build-with-failpoints ali-decoding old-releases
	COURIER_NIGHTLY=1 $(TEST_ENV) ALI_DECODING_DIST='$(ALI_DIST)' COURIER_OLD_RELEASES='$(OLD_RELEASES)' \
	    $(CARGO) test -p pg_courier_tests --test e2e -- --test-threads=1 --nocapture $(TEST)

# Not part of `test`: servers that are not installed are built first, from sources out of the distributions' archives,
# without pg_cron.
test-majors:
	@servers=$$(scripts/servers.sh $(or $(MAJORS),13 14 16 17 18)) && echo "$$servers" | \
	while read -r major pg_config; do \
	    echo "=== PostgreSQL $$major ==="; \
	    COURIER_WITHOUT_CRON=1 $(MAKE) --no-print-directory test-sql test-e2e \
	        PG_CONFIG="$$pg_config" TEST='$(TEST)' </dev/null || exit 1; \
	done

# From the server of PG_CONFIG to destinations of these majors.
test-upward:
	@servers=$$(scripts/servers.sh $(or $(MAJORS),16 17 18)) && echo "$$servers" | \
	while read -r major pg_config; do \
	    echo "=== PostgreSQL $(PG_MAJOR) to $$major ==="; \
	    DEST_PG_CONFIG="$$pg_config" \
	        $(MAKE) --no-print-directory test-e2e PG_CONFIG='$(PG_CONFIG)' TEST='$(TEST)' </dev/null || exit 1; \
	done

# Dumps of both sides are equal for every kind of object: on each major, and from the oldest to the newest.
SCHEMA_TESTS = schema:: whole::
schema-check:
	@$(MAKE) --no-print-directory test-majors MAJORS='13 14 15 16 17 18' TEST='$(SCHEMA_TESTS)'
	@servers=$$(scripts/servers.sh 13) && set -- $$servers && \
	    $(MAKE) --no-print-directory test-upward PG_CONFIG="$$2" MAJORS=18 TEST='$(SCHEMA_TESTS)'

lint:
	$(CARGO) fmt --all --check
	$(CARGO_PG) clippy --all-targets --no-default-features --features pg$(PG_MAJOR) -- -D warnings
	$(CARGO_PG) clippy --no-default-features --features pg$(PG_MAJOR),failpoints,pg_test -- -D warnings
	$(CARGO) clippy --all-targets -p pg_courier_tests -p pg_courier_bench -- -D warnings
	$(CARGO) test --quiet -p pg_courier_tests --test layering
	scripts/deny.sh

# What is publicly known against the dependencies; here it is an error when the list cannot be fetched.
audit:
	scripts/deny.sh advisories

# --- benchmarks -----------------------------------------------------------------------

bench-apply bench-growth bench-copy bench-precheck bench-schema bench-ddl:
	@$(MAKE) --no-print-directory build PG_CONFIG='$(PG_CONFIG)'
	@$(TEST_ENV) $(CARGO) run --quiet --release -p pg_courier_bench -- $(subst bench-,,$@) $(BENCH)

# The output plugin that works without the extension: ali-decoding, test-ali, bench-decode.
-include ali_decoding_compat/ali.mk

clean:
	$(CARGO) clean
	rm -rf dist
