# Commands for people and for continuous integration. Recipes longer than a line are in scripts/.
#
#   make demo      runs the whole bot against an emulator of Telegram; with TG_BOT_TOKEN and TG_ADMIN_ID set, runs the
#                  real bot instead, as make run does. BACKEND=account: the bot is an account at the emulator
#   make test      installs all requirements and runs all tests
#   make chaos     runs the bot over queues with injected failures, for some minutes
#   make build     builds the program tgpipe, with a link to it for each tool, in .build/release
#   make install   installs into $(DESTDIR)$(PREFIX)

PREFIX ?= /usr/local
DESTDIR ?=
# The folder of the tools that demo, run and bench use.
TGPIPE_BIN ?= $(CURDIR)/.build/release
SWIFT = scripts/swift.sh
RELEASE = $(SWIFT) build -c release --static-swift-stdlib

.PHONY: build test chaos check format install demo run bench deps clean

build: deps
	$(RELEASE)
	@scripts/links.sh "$$($(RELEASE) --show-bin-path)"

# Installs the missing requirements of building, testing and running: Debian packages, and Python packages in .venv.
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
