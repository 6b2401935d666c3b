# load.mk - what is counted, and how it stands up to load
#
#   make instructions          instructions of the hot paths, beside the table
#   make instructions-update   writes the table, tests/bench/instructions.txt
#   make sheaf-load            the load test of a deployment, build/plain/bin/sheaf-load
#   make soak MINUTES=n        clients, faults and restarts for so long: tables, plot,
#                              what grows; 15 minutes if nothing is said
# SPDX-License-Identifier: MIT

PATHS := $(OUT)/tests/bench/paths
LOAD_PYTHON := PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3

LOAD := $(BIN)/sheaf-load
LOAD_PARTS := $(wildcard tests/bench/load*.c) tests/bench/payload.c

.PHONY: soak sheaf-load instructions instructions-update
$(PATHS): $(OUT)/tests/bench/paths.o $(OUT)/tests/bench/payload.o \
    $(OUT)/aids.a $(OUT)/worker.a $(OUT)/queue.a $(OUT)/store.a $(OUT)/base.a
	$(call run,LINK,$@)$(LINK) -pie -o $@ $^ $(ALL_LIBS) \
	    $(call pkg,--libs,criterion)

# It judges by the broker's alerts, and takes their constants from their header.
$(LOAD): $(call objects,$(OUT),$(LOAD_PARTS)) $(OUT)/submit.a $(OUT)/wire.a \
    $(OUT)/base.a
	@mkdir -p $(@D)
	$(call run,LINK,$@)$(LINK) -pie -o $@ $^ $(LIBS_submit) $(LIBS_wire) \
	    $(LIBS_base)

sheaf-load: $(LOAD)
check-programs: $(if $(SCRIPTS),$(PATHS) $(LOAD))
instructions instructions-update: $(PATHS)
	@$(LOAD_PYTHON) tests/bench/instructions.py $(PATHS) \
	    tests/bench/instructions.txt $(if $(filter %-update,$@),--update)

MINUTES ?= 15
SOAK_DIR ?= $(OUT)/soak
soak: all $(BIN)/upstream $(LOAD)
	@OUT=$(OUT) $(LOAD_PYTHON) tests/bench/soak.py $(SOAK_DIR) \
	    --minutes $(MINUTES)
	@if command -v gnuplot >/dev/null; then gnuplot -e \
	    "directory='$(SOAK_DIR)'" tests/bench/soak.gp >$(SOAK_DIR)/soak.svg; \
	else echo 'no plot: gnuplot is not there (Debian: gnuplot-nox)'; fi
	@$(LOAD_PYTHON) tests/bench/soak_slopes.py $(SOAK_DIR)
