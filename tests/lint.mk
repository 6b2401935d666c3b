# lint.mk - what can be checked without running the programs
#
# `make -k lint` goes on after a check that fails.
# SPDX-License-Identifier: MIT

HEADERS := $(wildcard $(FOLDERS:%=%/*.h))
SOURCES := $(wildcard $(FOLDERS:%=%/*.c))
FORMATTED := $(HEADERS) $(SOURCES) $(wildcard tests/*.[ch] tests/fuzz/*.[ch] \
    tests/sim/*.[ch] tests/fair/*.[ch] tests/churn/*.[ch] tests/sampler/*.[ch] \
    tests/power/*.[ch] tests/bench/*.[ch] \
    examples/*.[ch])
LINTS := lint-format lint-layers lint-banned lint-docs lint-bugs lint-headers \
    lint-script lint-tidy
# Runs a command for each file, as many at a time as there are processors, and
# shows the output of those that fail.
each = @printf '%s\n' $(1) | xargs -P "$$(nproc)" -n 1 sh -c \
    'out=$$($(2) 2>&1) || { echo "$$out"; exit 1; }'

.PHONY: $(LINTS)
lint: $(LINTS)
$(LINTS): | $(DEPS_FIRST)

lint-format:
	@clang-format --dry-run -Werror $(FORMATTED)

lint-layers:
	@sh tests/layers.sh

lint-banned:
	@sh tests/banned.sh

lint-docs:
	@sh tests/docs.sh

# The status page, and what drives it and other clients.
lint-script:
	@sh tests/javascript.sh

# Each bug that the simulator is to find can still be planted.
lint-bugs:
	$(call each,$(wildcard tests/sim/bugs/*.patch),\
	    patch -s -p1 --dry-run --fuzz=0 -i $$0)

# Every header can be included alone.
lint-headers:
	$(call each,$(HEADERS),$(CC) $(LINT_FLAGS) $(WARNINGS) -Werror \
	    -fsyntax-only -x c $$0)

# How many states of a function clang's analyzer looks at, at most: its own default.
# A fourth of them takes a third of the time.
TIDY_NODES ?= 225000
TIDY_DEPTH = $(addprefix --extra-arg=,-Xclang -analyzer-config \
    -Xclang max-nodes=$(TIDY_NODES))

# Not the tests: their macros are not ours.
lint-tidy:
	$(call each,$(SOURCES),clang-tidy --quiet $(TIDY_DEPTH) $$0 -- $(LINT_FLAGS))

LINT_FLAGS = -std=c11 -I. -DSHEAF_VERSION=\"\" $(PKG_CFLAGS) $(CPPFLAGS)

format:
	clang-format -i $(FORMATTED)
