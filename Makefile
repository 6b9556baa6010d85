# What there is to do with Hull; `make help` lists it.

HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
PREFIX ?= /usr/local
OUT := target/release

.PHONY: help build kernel guest remap demo test bench lint install clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

build: kernel guest remap ## the hull binary, its guest kernel and agent, in target/release
	cargo build --release -p hull-cli

# A directory beside the binary is one of the places where hull looks for
# what it boots.  The kernel is a link into the cache, which outlives `clean`.
kernel:
	@path=$$(kernel/build) && mkdir -p $(OUT) && ln -sfn "$$path" $(OUT)/vmlinux

# Static, so that it runs in a guest that has no C library; in a target
# directory of its own, because the flags would rebuild every other crate.
guest:
	RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static" cargo build --profile guest \
	    -p hull-init --target $(HOST) --target-dir target/guest
	@mkdir -p $(OUT)
	@cmp -s target/guest/$(HOST)/guest/hull-init $(OUT)/hull-init || \
	    install -m 755 target/guest/$(HOST)/guest/hull-init $(OUT)/hull-init

# Preloaded into QEMU, which makes every page of it count.  Hosts without
# LD_PRELOAD boot machines instead of forking them.
remap:
	@[ "$$(uname)" = Linux ] || exit 0; \
	cargo build --profile guest -p hull-remap --target $(HOST) --target-dir target/guest && \
	    { cmp -s target/guest/$(HOST)/guest/libhull_remap.so $(OUT)/libhull_remap.so || \
	    install -m 755 target/guest/$(HOST)/guest/libhull_remap.so $(OUT)/libhull_remap.so; }

demo: ## build all, then run a container and show which kernel it runs on
	@tools/setup demo
	@$(MAKE) --no-print-directory build
	@tools/demo $(OUT)/hull

test: ## install what tests need, build all, run every test
	@tools/setup test
	@$(MAKE) --no-print-directory build
	@tools/test

bench: ## measure starts, execs and memory beside docker and runc
	@tools/setup test
	@$(MAKE) --no-print-directory build
	cargo run --release -q -p hull-bench -- $(BENCH)

lint: ## formatting, clippy, documentation, dependencies, house rules
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check; \
	    else echo 'lint: cargo-deny is not installed, licences not checked'; fi
	@tools/lint

install: build ## put hull and its guest files under PREFIX (/usr/local)
	install -D -m 755 $(OUT)/hull $(DESTDIR)$(PREFIX)/bin/hull
	install -D -m 755 $(OUT)/hull-init $(DESTDIR)$(PREFIX)/lib/hull/hull-init
	install -D -m 644 $(OUT)/vmlinux $(DESTDIR)$(PREFIX)/lib/hull/vmlinux
	[ ! -e $(OUT)/libhull_remap.so ] || \
	    install -D -m 755 $(OUT)/libhull_remap.so $(DESTDIR)$(PREFIX)/lib/hull/libhull_remap.so
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,bash-completion/completions fish/vendor_completions.d zsh/site-functions)
	$(OUT)/hull completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/hull
	$(OUT)/hull completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/hull.fish
	$(OUT)/hull completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_hull
	$(OUT)/hull man $(DESTDIR)$(PREFIX)/share/man/man1

clean: ## remove what was built here (not the kernel cache)
	cargo clean
