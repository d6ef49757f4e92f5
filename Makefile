# What people and the continuous integration call; what is longer than a line is in scripts/.
#
#   make demo      the whole bot against an emulator of Telegram; with TG_BOT_TOKEN and TG_ADMIN_ID set: make run.
#                  BACKEND=account: as an account
#   make test      from nothing to green
#   make chaos     the bot over queues while everything fails, for some minutes
#   make build     the tools, in .build/release
#   make install   into $(DESTDIR)$(PREFIX)

PREFIX ?= /usr/local
DESTDIR ?=
# Where the tools stand that demo, run and bench use.
TGPIPE_BIN ?= $(CURDIR)/.build/release
SWIFT = scripts/swift.sh
RELEASE = $(SWIFT) build -c release --static-swift-stdlib

.PHONY: build test chaos check format install demo run bench deps clean

build: deps
	$(RELEASE)

# Everything that building, testing and running needs and that is missing: Debian packages, and Python packages in .venv.
deps:
	@scripts/packages.sh
	@$(SWIFT) --path >/dev/null
	@scripts/venv.sh

test: deps
	@scripts/test.sh

chaos: build
	@TGPIPE_BIN='$(TGPIPE_BIN)' .venv/bin/python -B Tests/Chaos/chaos.py

check: deps
	@scripts/check.sh

format: deps
	$(SWIFT) format format --in-place --recursive --parallel Sources Tests Package.swift

install: build
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh

ifneq ($(and $(TG_BOT_TOKEN),$(TG_ADMIN_ID),$(if $(BACKEND),,yes)),)
demo: run
else
demo: build
	@TGPIPE_BIN='$(TGPIPE_BIN)' BACKEND='$(BACKEND)' .venv/bin/python -B examples/demo/play.py
endif

run: build
	@TGPIPE_BIN='$(TGPIPE_BIN)' scripts/run.sh

bench: build
	@TGPIPE_BIN='$(TGPIPE_BIN)' scripts/bench.sh

clean:
	rm -rf .build .venv
