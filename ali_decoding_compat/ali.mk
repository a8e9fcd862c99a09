# The output plugin ali_decoding. Included by the Makefile in the project's root.
#
#   make ali-decoding     dist/ali_decoding-VERSION-linux-ARCH.tar.gz, with the glibc version that it needs
#   make test-ali         unit tests, then every server version that can be had (TEST=name, MAJORS="15 16")
#   make lint-ali         rustfmt, clippy
#   make bench-decode     against test_decoding and pgoutput on the same WAL (MAJORS=, CHANGES=)

CARGO  ?= cargo
TARGET ?= $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)

ALI         := ali_decoding_compat
ALI_VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(ALI)/dist/ali_decoding.control)
ALI_ARCH    := $(shell uname -m)
ALI_NAME    := ali_decoding-$(ALI_VERSION)-linux-$(ALI_ARCH)
# A directory of its own, for the profile differs from that of the workspace.
ALI_TARGET   = $(abspath $(TARGET))/ali
ALI_SO       = $(ALI_TARGET)/release/libali_decoding.so
ALI_DIST     = $(abspath dist)/$(ALI_NAME)
ALI_PANICS   = $(ALI_TARGET)/panics
ALI_ENV      = ALI_DECODING_DIST=$(ALI_DIST) ALI_DECODING_PANICS=$(ALI_PANICS)/so MAJORS='$(MAJORS)'

.PHONY: ali-decoding ali-decoding-so ali-panics test-ali lint-ali bench-decode

# Neither the standard library nor the C library is linked: the few functions of C that the code uses are
# bound, by name and without a version, to the ones that the server has loaded. So there is no
# minimum glibc, and none of another kind either.
ALI_RUSTC = CARGO_PROFILE_RELEASE_PANIC=abort CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
    $(CARGO) rustc --quiet -p ali_decoding_compat --lib --release
ALI_LINK  = -C link-arg=-nostdlib -C link-arg=-nostartfiles -C link-arg=-Wl,--hash-style=both -C strip=symbols

ali-decoding-so:
	@$(ALI_RUSTC) --target-dir '$(ALI_TARGET)' -- $(ALI_LINK)

# The same with a panic on demand, and a development build of that: what the tests do to themselves.
ali-panics:
	@rm -rf '$(ALI_PANICS)/so' && mkdir -p '$(ALI_PANICS)/so'
	@$(ALI_RUSTC) --features failpoints --target-dir '$(ALI_PANICS)/abort' -- $(ALI_LINK)
	@cp '$(ALI_PANICS)/abort/release/libali_decoding.so' '$(ALI_PANICS)/so/ali_panics_abort.so'
	@$(CARGO) build --quiet -p ali_decoding_compat --lib --features failpoints --target-dir '$(ALI_PANICS)/unwind'
	@cp '$(ALI_PANICS)/unwind/debug/libali_decoding.so' '$(ALI_PANICS)/so/ali_panics_unwind.so'

ali-decoding: ali-decoding-so
	@rm -rf '$(ALI_DIST)' && mkdir -p '$(ALI_DIST)'
	@cp '$(ALI_SO)' '$(ALI_DIST)/ali_decoding.so'
	@cp $(ALI)/dist/ali_decoding.control $(ALI)/dist/ali_decoding--$(ALI_VERSION).sql \
	    $(ALI)/dist/INSTALL $(ALI)/dist/install.sh LICENSE '$(ALI_DIST)/'
	@echo $(ALI_ARCH) >'$(ALI_DIST)/ARCHITECTURE'
	@cd '$(ALI_DIST)' && sha256sum $$(ls | grep -v SHA256SUMS) >SHA256SUMS
	@tar -C dist --owner=0 --group=0 --sort=name -czf dist/$(ALI_NAME).tar.gz $(ALI_NAME)
	@cd dist && sha256sum $(ALI_NAME).tar.gz >$(ALI_NAME).tar.gz.sha256 && cat $(ALI_NAME).tar.gz.sha256
	@$(ALI)/requirements.sh '$(ALI_DIST)/ali_decoding.so'

test-ali: ali-decoding ali-panics
	$(ALI_ENV) $(CARGO) test -p ali_decoding_compat --lib --test format --test headers --test load --test archive
	$(ALI_ENV) $(CARGO) test -p ali_decoding_compat --test e2e -- $(TEST)

# The build that is shipped has code of its own for panics.
lint-ali:
	$(CARGO) fmt -p ali_decoding_compat --check
	$(CARGO) clippy -p ali_decoding_compat --all-targets --all-features -- -D warnings
	CARGO_PROFILE_RELEASE_PANIC=abort $(CARGO) clippy -p ali_decoding_compat --lib --release --all-features -- -D warnings

bench-decode: ali-decoding
	$(ALI_ENV) CHANGES='$(CHANGES)' $(CARGO) test --quiet --release -p ali_decoding_compat --test bench -- --nocapture --test-threads=1
