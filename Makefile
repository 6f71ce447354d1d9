# `make demo` and `make test` install what they need; see README.md and CONTRIBUTING.md.
PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin

# Run-time packages first, then what the tests and the demo use.
APT_PACKAGES := python3 python3-venv python3-cffi-backend python3-nacl python3-pyroute2 python3-setproctitle python3-systemd python3-dbus-next python3-urwid libpcap0.8 \
	iproute2 iputils-ping fping iperf3 ethtool procps sysvinit-utils gcc libc6-dev libsodium-dev python3-dev zlib1g-dev \
	dbus systemd nftables libxml2-utils scdoc \
	systemd-container mmdebstrap

# Where `make install` puts things: below DESTDIR, for a package or an image.
DESTDIR ?=
PREFIX ?= /usr
PYTHON_DIR := $(DESTDIR)$(PREFIX)/lib/python3/dist-packages
PRIVATE_DIR := $(DESTDIR)$(PREFIX)/lib/mlvpnd
LIBEXEC_DIR := $(DESTDIR)$(PREFIX)/libexec/mlvpnd
SYSTEMD_DIR := $(DESTDIR)$(PREFIX)/lib/systemd
UNIT_DIR ?= $(PREFIX)/lib/systemd/system
GENERATOR_DIR ?= $(PREFIX)/lib/systemd/system-generators
SHARE_DIR := $(DESTDIR)$(PREFIX)/share
INSTALL := install -D --mode=644
INSTALL_PROGRAM := install -D --mode=755
# Debian has no python-pytun. Looked for when it is installed: `make build install` makes it first.
PYTUN := $(VENV)/lib/python3*/site-packages/pytun*.so
MAN_SOURCES := $(wildcard man/*.scd)

# What the package is built with, beside APT_PACKAGES: Build-Depends of debian/control, and lintian.
DEB_PACKAGES := build-essential bash-completion debhelper dh-python fakeroot lintian pkgconf pybuild-plugin-pyproject \
	libsodium-dev zlib1g-dev python3-all-dev python3-cffi python3-pytest python3-pytest-timeout python3-scapy python3-setuptools
DEB_DIR := build/deb

# What the data plane is compared with, and what the cipher alone is measured by; `make bench` does without what cannot be had.
BENCH_PACKAGES := openvpn openssl wireguard-go tinc

.PHONY: build packages check test test-system bench bench-bonding test-package demo lab lab-down deb deb-source install install-python \
	install-system install-completion clean

build: $(VENV)/.built

packages:
	tests/support/install-packages $(APT_PACKAGES)

$(VENV)/.built: pyproject.toml Makefile
	$(MAKE) packages
	$(PYTHON) -m venv --system-site-packages $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

check: build
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/clang-format --dry-run --Werror $(wildcard mlvpnd/native/*/*.[ch])
	$(BIN)/mypy
	$(BIN)/python tools/make_native_constants.py --check
	$(BIN)/python tools/make_native_stub.py --check
	$(BIN)/python -m pytest -q tests/unit/test_layout.py

# Two at a time: what boots containers beside what makes namespaces.
test: build check
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# Real daemons on the reference twin of the data plane: the same tests as on the native one, which `make test` runs.
.PHONY: test-reference
test-reference: TESTS ?= tests/netns
test-reference: build
	MLVPND_TEST_DATA_PLANE=reference $(BIN)/python -m pytest $(TESTS)

# Unit and property tests with a native twin that ASan and UBSan watch, in a copy of the tree: the usual one stays as it is.
# PyTest's options and paths are in TESTS.
.PHONY: test-sanitize
test-sanitize: TESTS ?= tests/unit tests/property
test-sanitize: SANITIZED := build/sanitize
test-sanitize: build
	rm -rf $(SANITIZED)
	mkdir -p $(SANITIZED)
	tar -c --exclude=./build --exclude='./.[!.]*' --exclude='*.so' --exclude=__pycache__ . | tar -x -C $(SANITIZED)
	ln -s $(CURDIR)/$(VENV) $(SANITIZED)/$(VENV)
	cd $(SANITIZED) && MLVPND_SANITIZE=1 $(CURDIR)/$(BIN)/python setup.py -q build_ext --inplace
	cd $(SANITIZED) && \
		LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
		$(CURDIR)/$(BIN)/python -m pytest -p no:cacheprovider $(TESTS)

# Those of `make test` that boot Debian 12 and 13 in containers; see tests/support/nodes.py.
test-system: build
	$(BIN)/python -m pytest tests/system

# What the data plane costs and carries, each twin beside other VPNs: bench/RESULTS.md, in 25 minutes. RESUME=1, QUICK=1 (three
# minutes, into build/quick) and BENCH as below, with `python -m tests.bench.dataplane --help`.
bench: BENCH_DIR := $(if $(QUICK),build/quick,bench)
bench: BENCH_RESULTS := $(if $(QUICK),build/quick/dataplane.jsonl,build/dataplane.jsonl)
bench: build
	for package in $(BENCH_PACKAGES); do tests/support/install-packages $$package || echo "without $$package" >&2; done
	$(if $(RESUME),,[ ! -e $(BENCH_RESULTS) ] || mv $(BENCH_RESULTS) $(BENCH_RESULTS).before)
	$(BIN)/python -m tests.bench.dataplane --resume --results $(BENCH_RESULTS) $(if $(QUICK),--quick) $(BENCH)
	$(BIN)/python -m tests.bench.dataplane --report $(BENCH_RESULTS) --into $(BENCH_DIR)

# What a change has cost: this build against that of revision OLD, in turns. BENCH="--case tcp,steady --rounds 5" runs a part.
.PHONY: bench-against
bench-against: OLD ?= HEAD
bench-against: OLD_TREE = build/against/$(shell git rev-parse --short=12 $(OLD))
bench-against: build
	[ -d $(OLD_TREE) ] || git worktree add --detach $(OLD_TREE) $(OLD)
	$(MAKE) -C $(OLD_TREE) build
	$(BIN)/python -m tests.bench.dataplane.against $(OLD_TREE) $(BENCH)

# How much of the lines a tunnel over several carries, for each profile of lines, and each line alone: bench/BONDING.md,
# in four hours, or by JOBS=2, two runs at a time, in half of that. RESUME=1 goes on where it was interrupted; QUICK=1 is a
# look, into build/quick, in 45 minutes; BENCH has more options of `python -m tests.bench.bonding --help`, which runs parts.
bench-bonding: BENCH_DIR := $(if $(QUICK),build/quick,bench)
bench-bonding: BENCH_RESULTS := $(if $(QUICK),build/quick/bonding.jsonl,build/bonding.jsonl)
bench-bonding: JOBS ?= 1
bench-bonding: build
	$(if $(RESUME),,[ ! -e $(BENCH_RESULTS) ] || mv $(BENCH_RESULTS) $(BENCH_RESULTS).before)
	$(BIN)/python -m tests.bench.bonding --matrix --resume --jobs $(JOBS) --results $(BENCH_RESULTS) $(if $(QUICK),--quick) $(BENCH)
	$(BIN)/python -m tests.bench.bonding --report $(BENCH_RESULTS) --into $(BENCH_DIR)

# Two sessions over simulated lines, with TCP inside: figures, and plots in build/sim. SIM="--profile lossy --flows 8xcubic" runs a
# part; SEARCH=1000 looks at so many random line sets, JOBS=2 at a time, and prints the worst. See `python -m tests.sim --help`.
.PHONY: sim
sim: JOBS ?= 1
sim: build
	$(BIN)/python -m tests.sim $(if $(SEARCH),search $(SEARCH) --jobs $(JOBS) $(SIM),run $(or $(SIM),--profile all))

# Whether two daemons keep their memory while they are overloaded, and what they drop: an hour over two lines of 20 Mbit/s.
# Samples go into build/soak.jsonl. SOAK="--minutes 10 --data-plane reference" has it otherwise.
.PHONY: soak
soak: build
	$(BIN)/python -m tests.bench.soak $(SOAK)

# Coverage-guided fuzzing of the native twin with clang's libFuzzer, whose options are in FUZZ: its super-packets, and its
# way in from the links to the interface. Inputs that were found to be of use are kept in build/fuzz.
# Both build with float-cast-overflow, which is in no group of UBSan's.
FUZZ ?= -max_total_time=600
FUZZ_SANITIZE := -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=undefined,float-cast-overflow
FUZZ_FLAGS := -std=c11 -O1 -g -Wall -Wextra -Wno-missing-field-initializers -Imlvpnd/native
FUZZ_NATIVE := $(filter-out mlvpnd/native/io/%, $(wildcard mlvpnd/native/*/*.c))

.PHONY: fuzz-offload fuzz-receive
fuzz-offload fuzz-receive: fuzz-%: build/fuzz/native_%
	mkdir -p build/fuzz/corpus-$*
	$< -max_len=4096 -artifact_prefix=build/fuzz/ $(FUZZ) build/fuzz/corpus-$* tests/fuzz/corpus/$*

build/fuzz/native_%: tests/fuzz/native_%.c $(wildcard mlvpnd/native/*/*.[ch])
	mkdir -p build/fuzz
	clang $(FUZZ_FLAGS) -fsanitize=fuzzer $(FUZZ_SANITIZE) -o $@ $< $(FUZZ_NATIVE) -lsodium -lz -lm

# The same targets by the compiler that builds everything, with a small fuzzer of our own. `make test` runs them for a minute
# from the inputs in tests/fuzz/corpus.
build/fuzz/kept_%: tests/fuzz/native_%.c build/fuzz/kept.o $(wildcard mlvpnd/native/*/*.[ch])
	$(CC) $(FUZZ_FLAGS) -fsanitize-coverage=trace-pc $(FUZZ_SANITIZE) -o $@ $< build/fuzz/kept.o $(FUZZ_NATIVE) -lsodium -lz -lm

build/fuzz/kept.o: tests/fuzz/kept.c
	mkdir -p build/fuzz
	$(CC) -std=gnu11 -O2 -g -Wall -Wextra -Wpedantic -c -o $@ $<

# The Debian package on Debian 12 and 13, installed, upgraded and removed on booted systems.
test-package: build
	$(BIN)/python -m pytest tests/package

# Packages for this machine's release of Debian in build/deb, if anything has changed; without a network if they were made before.
deb: deb-source
	tests/support/install-packages $(DEB_PACKAGES)
	debian/build-package $(DEB_DIR) $(DEB_DIR)

# The source package in build/deb; what it needs of PyPI is fetched once.
deb-source: build
	debian/make-source $(DEB_DIR) $(BIN)/pip

# A release but for publishing it: tools/release.py closes CHANGELOG.md, commits and tags; then its source package and package.
.PHONY: release
release: build
	[ -n "$(VERSION)" ] || { echo "make release VERSION=MAJOR.MINOR.PATCH" >&2; exit 2; }
	$(BIN)/python tools/release.py $(VERSION)
	$(MAKE) deb
	@echo "Publish by: git push origin HEAD v$(VERSION), and an upload of build/deb"

demo: build
	$(BIN)/python -m tests.support.demo

# A server and a client to look around in, with the package of `make deb`, until `make lab-down`: tests/support/user_lab.py.
lab: deb
	$(BIN)/python -m tests.support.user_lab up $(DEB_DIR)/mlvpnd_*.deb

lab-down:
	$(BIN)/python -m tests.support.user_lab down

install: install-python install-system install-completion

install-python:
	set -e; for file in $$(find -L mlvpnd -type f ! -path '*/__pycache__/*'); do \
		$(INSTALL) "$$file" "$(PYTHON_DIR)/$$file"; \
	done
	set -e; for module in $(PYTUN); do \
		[ ! -e "$$module" ] || $(INSTALL) "$$module" "$(PRIVATE_DIR)/$$(basename "$$module")"; \
	done

# All but Python modules and the completion, which the package gets from its build of the wheel and from debhelper.
install-system:
	$(INSTALL_PROGRAM) bin/mlvpnd $(DESTDIR)$(PREFIX)/sbin/mlvpnd
	ln -sf mlvpnd $(DESTDIR)$(PREFIX)/sbin/mlvpn
	$(INSTALL_PROGRAM) bin/mlvpnctl $(DESTDIR)$(PREFIX)/bin/mlvpnctl
	$(INSTALL_PROGRAM) bin/mlvpn-decode $(DESTDIR)$(PREFIX)/bin/mlvpn-decode
	$(INSTALL_PROGRAM) systemd/mlvpn-helper $(LIBEXEC_DIR)/mlvpn-helper
	$(INSTALL_PROGRAM) systemd/mlvpn-generator $(DESTDIR)$(GENERATOR_DIR)/mlvpn-generator
	$(INSTALL) --target-directory=$(DESTDIR)$(UNIT_DIR) systemd/*.service systemd/*.socket
	$(INSTALL) systemd/mlvpnd.catalog $(SYSTEMD_DIR)/catalog/mlvpnd.catalog
	$(INSTALL) systemd/mlvpnd.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/mlvpnd.conf
	$(INSTALL) systemd/mlvpnd.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/mlvpnd.conf
	$(INSTALL) dbus/org.mlvpn1.conf $(SHARE_DIR)/dbus-1/system.d/org.mlvpn1.conf
	$(INSTALL) --target-directory=$(SHARE_DIR)/dbus-1/interfaces dbus/org.mlvpn1.*.xml
	$(INSTALL) dbus/org.mlvpn1.policy $(SHARE_DIR)/polkit-1/actions/org.mlvpn1.policy
	set -e; for file in $$(find examples -type f); do \
		$(INSTALL) "$$file" "$(SHARE_DIR)/doc/mlvpnd/$$file"; \
	done
	# The first line has man(1) run tbl(1), which scdoc's tables need.
	set -e; for source in $(MAN_SOURCES); do \
		page=$$(basename "$$source" .scd); directory=$(SHARE_DIR)/man/man$${page##*.}; \
		install -d "$$directory"; \
		{ echo "'\\\" t"; scdoc <"$$source"; } >"$$directory/$$page"; \
	done
	install -d $(SHARE_DIR)/man/man1
	ln -sf ../man8/mlvpnd.8 $(SHARE_DIR)/man/man1/mlvpn.1

install-completion:
	$(INSTALL) debian/mlvpnctl.bash-completion $(SHARE_DIR)/bash-completion/completions/mlvpnctl

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
