# load.mk - what is counted, and how it stands up to load
#
#   make instructions          instructions of the hot paths, beside the table
#   make instructions-update   writes the table, tests/bench/instructions.txt
# SPDX-License-Identifier: MIT

PATHS := $(OUT)/tests/bench/paths
LOAD_PYTHON := PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3

.PHONY: instructions instructions-update
$(PATHS): $(OUT)/tests/bench/paths.o $(OUT)/tests/bench/payload.o \
    $(OUT)/aids.a $(OUT)/worker.a $(OUT)/queue.a $(OUT)/store.a $(OUT)/base.a
	$(call run,LINK,$@)$(LINK) -pie -o $@ $^ $(ALL_LIBS) \
	    $(call pkg,--libs,criterion)

check: $(if $(SCRIPTS),$(PATHS))
instructions instructions-update: $(PATHS)
	@$(LOAD_PYTHON) tests/bench/instructions.py $(PATHS) \
	    tests/bench/instructions.txt $(if $(filter %-update,$@),--update)
