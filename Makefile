# Commands for people and for continuous integration; `make help` lists them. Recipes longer than a line are in scripts/.

PREFIX ?= /usr/local
DESTDIR ?=
SUITE ?= bookworm
# The folder of the tools that demo, run and the benchmarks use.
TGPIPE_BIN ?= $(CURDIR)/.build/release
SWIFT = scripts/swift.sh

.PHONY: help build deb tarball test test-package chaos conversations check format install uninstall demo run bench bench-quick performance deps build-deps clean

define HELP
make build       builds the program tgpipe, with a link to it for each tool, in .build/release
make deb         makes a Debian package of what make build built
make tarball     makes an archive of what make build built, for any folder of any machine with the same libraries
make demo        runs the whole bot against an emulator of Telegram; BACKEND=account: the bot is an account there.
                 With TG_BOT_TOKEN and TG_ADMIN_ID set, it runs the real bot instead, as make run does
make run         runs the media bot with the settings in ./tgpipe.env
make install     installs what make build built in $$(DESTDIR)$$(PREFIX); PREFIX is /usr/local unless you set it
make uninstall   removes an installation again
make test        installs all requirements and runs all tests
make test-package  tests the Debian package: its services in a booted container, its own tests, and installing, upgrading
                 and removing it with piuparts; SUITE=trixie on Debian 13
make conversations  plays conversations with the bot, and compares what the chats show with Tests/Conversations/golden
make check       checks formatting, house rules, scripts and schemas
make format      formats the source code
make bench       runs the benchmarks, and says which figures fall short of their goals; about 15 minutes
make bench-quick  does so with the ten most telling figures, in two minutes
make performance  puts the figures of the last make bench into docs/performance.md, and draws its chart
make chaos       runs the bot over queues with injected failures, for some minutes
make deps        installs the requirements of building and testing, and nothing else
make clean       removes everything that was built
endef
export HELP

build: build-deps
	@scripts/build.sh

help:
	@printf '%s\n' "$$HELP"

# Installs the missing requirements of building, running and the demo: Debian packages, and Python packages in .venv.
build-deps:
	@scripts/packages.sh
	@$(SWIFT) --path >/dev/null
	@scripts/venv.sh

# Installs the requirements of the tests and checks, too.
deps:
	@scripts/packages.sh --tests
	@$(SWIFT) --path >/dev/null
	@scripts/venv.sh

test: deps
	@scripts/test.sh

chaos: build
	@TGPIPE_BIN='$(TGPIPE_BIN)' .venv/bin/python -B Tests/Chaos/chaos.py

conversations: build
	@TGPIPE_BIN='$(TGPIPE_BIN)' .venv/bin/python -B Tests/Conversations/play.py
	@TGPIPE_BIN='$(TGPIPE_BIN)' .venv/bin/python -B Tests/Conversations/play.py --account

check: deps
	@scripts/check.sh

format: build-deps
	$(SWIFT) format format --in-place --recursive --parallel Sources Tests Package.swift

# Builds nothing, so that `sudo make install` leaves no files of root in the checkout.
install:
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh

deb:
	@scripts/deb.sh

tarball:
	@scripts/tarball.sh

# Needs root, and the package that make deb builds on the release of Debian that SUITE names.
test-package:
	@Tests/Packaging/piuparts.sh '$(SUITE)'
	@Tests/Packaging/autopkgtest.sh '$(SUITE)'
	@Tests/Packaging/container.sh '$(SUITE)'

uninstall:
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh --uninstall

ifneq ($(and $(TG_BOT_TOKEN),$(TG_ADMIN_ID),$(if $(BACKEND),,yes)),)
demo: run
else
demo: build
	@TGPIPE_BIN='$(TGPIPE_BIN)' BACKEND='$(BACKEND)' .venv/bin/python -B examples/demo/play.py
endif

run: build
	@TGPIPE_BIN='$(TGPIPE_BIN)' scripts/run.sh

bench: deps build
	@TGPIPE_BIN='$(TGPIPE_BIN)' scripts/bench.sh

bench-quick: deps build
	@TGPIPE_BIN='$(TGPIPE_BIN)' scripts/bench.sh --quick

performance:
	@.venv/bin/python -B Benchmarks/chart.py

clean:
	rm -rf .build .deps .venv
