# The two commands a stranger needs: `make demo` and `make test`. Each installs all it needs.
VENV := .venv
ENOS := $(VENV)/bin/enos
# Programs the tests start for real; apt-get is asked only for those that are missing.
PARTS := openssh-server openssh-client iproute2 iptables nftables ipset fping \
         iputils-ping iperf3 cpio qemu-system-x86 debootstrap docker.io chromium \
         redis-server

# Python keeps what it compiled, also where an account's habit is another.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo killed monitoring partition static traces traffic test explore check golden clean

demo: $(ENOS) ## the main job, end to end, on this machine
	$(ENOS) deploy -f topologies/demo.yml
	$(ENOS) tc
	$(ENOS) tc --test
	$(ENOS) bench --workload=demo
	$(ENOS) backup
	$(ENOS) destroy --hard
	$(ENOS) info
	$(ENOS) report

killed: $(VENV)/.dev ## the main job again, killed at ten random moments (after `make demo`)
	ENOS_KILL_SEED=$${ENOS_KILL_SEED:-1} $(VENV)/bin/pytest -s tests/e2e/test_killed.py

partition: $(VENV)/.dev ## a site cut off during a benchmark of ENOS_EXPERIMENT, a running one
	$(VENV)/bin/pytest -s tests/e2e/test_partition.py

monitoring: $(VENV)/.dev ## every series of ENOS_EXPERIMENT, a running one with monitoring
	$(VENV)/bin/pytest -s tests/e2e/test_monitoring.py

traffic: $(VENV)/.dev ## between nodes and guests of ENOS_EXPERIMENT, a running one with Heat
	$(VENV)/bin/pytest -s tests/e2e/test_traffic.py

static: $(VENV)/.dev ## OpenStack on machines of provider `static`, which `local` made
	ENOS_STATIC=1 $(VENV)/bin/pytest -s tests/e2e/test_static.py

traces: $(VENV)/.dev ## traces of ENOS_EXPERIMENT, a running one with osprofiler
	$(VENV)/bin/pytest -s tests/e2e/test_traces.py

test: $(VENV)/.dev parts ## every test but the main job
	$(VENV)/bin/pytest -n 4 --dist loadfile --no-loadscope-reorder --randomly-seed=1 \
	  -m "not e2e"

explore: $(VENV)/.dev ## properties on inputs never tried before, tests in another order
	$(VENV)/bin/pytest -n 4 --hypothesis-profile=explore tests/unit

check: $(VENV)/.dev ## style, types, layers, spelling
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/codespell enos providers workloads topologies tests docs README.md

golden: $(VENV)/.dev ## rewrite the golden files, then look at the diff
	$(VENV)/bin/pytest -q --update-golden tests/unit tests/cli tests/docs

.PHONY: parts
parts:
	@scripts/install-parts $(PARTS)

$(VENV)/bin/uv: scripts/make-venv
	scripts/make-venv $(VENV)

$(ENOS): $(VENV)/bin/uv pyproject.toml
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python -e .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/uv pyproject.toml
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python -e '.[dev]'
	@touch $(ENOS) $@

clean:
	rm -rf $(VENV) dist
