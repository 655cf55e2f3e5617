# The two commands of the README. Both set up what is missing; nothing needs to be exported.
# Needed: Rust, Python 3 with pip and venv, a C++ compiler.

CARGO ?= cargo
PYTHON ?= python3

.PHONY: run test soak setup check

# The main job, start to end, in a fresh workspace. ARGS="--data FILE ..." trains on your data.
run: setup
	$(CARGO) build --release --locked
	CARGO="$(CARGO)" .ci/demo $(ARGS)

# The whole test suite. libtorch's interface is compiled once, in the release profile: only the
# training tests need it.
test: setup
	$(CARGO) test --locked --no-default-features
	$(CARGO) test --locked --release --test train

# Long random lives: every pair of changing verbs in both layouts, then triples; and many mutants for
# every parser. LIVES=100000, FUZZ=1000000 and SEED=4000 go on from there.
LIVES ?= 4000
FUZZ ?= 20000
SEED ?= 0
soak:
	FUZZ=$(FUZZ) FUZZ_SEED=$(SEED) $(CARGO) test --locked --no-default-features --test fuzz
	ANNALS_SOAK=$(LIVES) ANNALS_SOAK_SEED=$(SEED) \
		$(CARGO) test --locked --no-default-features --test cli watched::soak

# libtorch in the user's cache, linked as .libtorch; a second when it is there already.
setup:
	@$(PYTHON) src/engine/provision.py

# Everything that must hold before a commit is shared.
check:
	.ci/run
