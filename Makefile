# `make demo` and `make test` install what they need; see README.md and CONTRIBUTING.md.
PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin

# Run-time packages first, then what the tests and the demo use.
APT_PACKAGES := python3 python3-venv python3-nacl python3-pyroute2 python3-setproctitle libpcap0.8 \
	iproute2 iputils-ping iperf3 ethtool procps sysvinit-utils gcc libc6-dev

.PHONY: build packages check test demo clean

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
	$(BIN)/mypy

test: build check
	$(BIN)/python -m pytest

demo: build
	$(BIN)/python -m tests.support.demo

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
