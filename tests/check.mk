# check.mk - tests, fuzzers and the demonstration
#
# tests/test_X.c is a unit test: a Criterion program of its own, linked with
# all archives. tests/e2e/*-*.sh are end-to-end tests. tests/upstream*.c is the
# server they talk to; other files of tests/ are at hand for every unit test.
# Criterion does not start under ThreadSanitizer: no unit tests there.
# SPDX-License-Identifier: MIT

T ?=
FUZZ_SECONDS ?= 20
chosen = $(if $(T),$(foreach test,$(1),$(if $(findstring $(T),$(test)),$(test))),$(1))
UNIT_SOURCES := $(wildcard tests/test_*.c)
UPSTREAM := $(wildcard tests/upstream*.c)
AIDS := $(filter-out $(UNIT_SOURCES) $(UPSTREAM),$(wildcard tests/*.c))
UNITS := $(if $(findstring thread,$(SAN)),,\
    $(call chosen,$(UNIT_SOURCES:%.c=$(OUT)/%)))
# What measures, waits for long, or plays the same programs again at length, says
# nothing new with sanitizers; T names it all the same.
UNSANITIZED := $(if $(SAN),$(if $(T),,$(addprefix tests/e2e/,16-churn.sh \
    17-instructions.sh 18-load.sh 19-soak.sh 23-dns.sh 34-retain.sh \
    38-alerts.sh 39-page.sh 41-storm.sh 52-freeze.sh 55-power.sh \
    60-memory.sh 61-upload-memory.sh 80-pipe.sh 81-full.sh 82-full-files.sh \
    90-bulk-summary.sh 91-overnight.sh 92-submit-and-poll.sh)))
SCRIPTS := $(filter-out $(UNSANITIZED),\
    $(call chosen,$(sort $(wildcard tests/e2e/*-*.sh))))
ALL_LIBS = $(LIBS_worker) $(LIBS_queue) $(LIBS_submit) $(LIBS_http) \
    $(LIBS_wire) $(LIBS_base)

# To make a test fast takes longer than to run it: the time goes to what it calls.
$(UNIT_SOURCES:%.c=$(OUT)/%.o): private UNIT_MODE = -O0 -U_FORTIFY_SOURCE $(BLIND)
$(OUT)/aids.a: $(call objects,$(OUT),$(AIDS))
$(UNIT_SOURCES:%.c=$(OUT)/%): $(OUT)/%: $(OUT)/%.o $(OUT)/aids.a \
    $(OUT)/submit.a $(OUT)/worker.a $(OUT)/queue.a $(OUT)/store.a $(OUT)/base.a
	$(call run,LINK,$@)$(LINK) -pie -o $@ $^ $(ALL_LIBS) \
	    $(call pkg,--libs,criterion)

$(BIN)/upstream: $(call objects,$(OUT),$(UPSTREAM)) $(OUT)/base.a
	@mkdir -p $(@D)
	$(call run,LINK,$@)$(LINK) -pie -pthread -o $@ $^ $(LIBS_base) \
	    $(call pkg,--libs,libmicrohttpd)

CHURN := $(OUT)/tests/churn/churn

# The simulator: the real core, its checker, and a world of its own.
SIM := $(OUT)/tests/sim/sim
SIM_PARTS = $(call objects,$(OUT),$(wildcard tests/sim/*.c) tests/room.c \
    tests/turns.c) $(OUT)/queue.a $(OUT)/store.a $(OUT)/base.a
SIM_LIBS = $(LIBS_queue) $(LIBS_wire) $(LIBS_base)
SEEDS ?= 10000
$(SIM): $(SIM_PARTS)
	$(call run,LINK,$@)$(LINK) -pie -o $@ $^ $(SIM_LIBS)

sim: $(SIM)
	@$< $(if $(SEED),--seed $(SEED),$(SEEDS))

sim-bugs: $(SIM)
	@OUT=$(OUT) COMPILE='$(CC) $(COMPILE)' LINK='$(LINK)' \
	    sh tests/sim/bugs.sh $(SIM_PARTS) $(SIM_LIBS)

# Tells what is in a store; power.py asks it of a thousand.
SURVEY := $(OUT)/tests/power/survey
$(SURVEY): $(call objects,$(OUT),$(wildcard tests/power/*.c)) \
    $(OUT)/queue.a $(OUT)/store.a $(OUT)/base.a
	$(call run,LINK,$@)$(LINK) -pie -o $@ $^ $(SIM_LIBS)

# What `make check` runs, to be built without running it.
.PHONY: check-programs fuzz-programs
check-programs: $(UNITS) $(if $(SCRIPTS),all $(BIN)/upstream $(SIM) $(SURVEY) \
    $(CHURN))
check: check-programs
	@OUT=$(OUT) SAN=$(SAN) CC='$(CC)' sh tests/run.sh $(UNITS) $(SCRIPTS)

# The same simulation with each schedule: an object beats the archive's.
SCHEDULES := ours fifo robin
PLAIN := $(OUT)/tests/fair/schedule_plain.o
$(OUT)/tests/fair/fairness-fifo: $(PLAIN) $(OUT)/tests/fair/schedule_fifo.o
$(OUT)/tests/fair/fairness-robin: $(PLAIN) $(OUT)/tests/fair/schedule_robin.o
$(SCHEDULES:%=$(OUT)/tests/fair/fairness-%): $(OUT)/tests/fair/fairness.o \
    $(OUT)/aids.a $(OUT)/queue.a $(OUT)/store.a $(OUT)/base.a
	$(call run,LINK,$@)$(LINK) -pie -o $@ $(filter %.o,$^) $(filter %.a,$^) \
	    $(ALL_LIBS) $(call pkg,--libs,criterion)

# Ten hours of work that comes and goes, and what becomes of the file.
$(CHURN): $(OUT)/tests/churn/churn.o $(OUT)/aids.a $(OUT)/queue.a \
    $(OUT)/store.a $(OUT)/base.a
	$(call run,LINK,$@)$(LINK) -pie -o $@ $^ $(ALL_LIBS) \
	    $(call pkg,--libs,criterion)

# The plot is kept beside the description of the file.
churn: $(CHURN)
	@$< --table $(OUT)/churn.table
	@if command -v gnuplot >/dev/null; then gnuplot -e \
	    "table='$(OUT)/churn.table'" tests/churn/plot.gp >store/churn.svg; \
	else echo 'no plot: gnuplot is not there (Debian: gnuplot-nox)'; fi

fairness: $(SCHEDULES:%=$(OUT)/tests/fair/fairness-%)
	@for schedule in $(SCHEDULES); do echo "$$schedule:"; \
	    $(OUT)/tests/fair/fairness-$$schedule -j1 || exit 1; done

# The sampler beside the first three sentences, on documents of this machine.
QUALITY := $(OUT)/tests/sampler/quality
$(QUALITY): $(OUT)/tests/sampler/quality.o $(OUT)/aids.a $(OUT)/submit.a \
    $(OUT)/worker.a $(OUT)/queue.a $(OUT)/store.a $(OUT)/base.a
	$(call run,LINK,$@)$(LINK) -pie -o $@ $^ $(ALL_LIBS) \
	    $(call pkg,--libs,criterion)

sampler: $(QUALITY)
	@QUALITY=$(abspath $<) sh tests/sampler/documents.sh

demo: all
	@BIN=$(abspath $(BIN)) sh tests/demo.sh

# Fuzzers are built by clang, with what they call, in build/fuzz/. Its warnings
# are not asked for: gcc's are what the code is held to. Of three folders they
# call so little that it is named; what is missing here, the linker tells.
FUZZED := $(addprefix queue/,body.c line.c prompt.c prompt_key.c prompt_text.c \
    wire.c wire_write.c) $(addprefix worker/,delay.c extract.c grammar.c hint.c \
    oauth.c outcome.c reply.c result.c secret.c translation.c) \
    $(addprefix submit/,http_batch_read.c http_draft.c http_error.c \
    http_gate.c http_listen.c http_multipart.c http_object.c http_path.c \
    http_tokens.c lines.c)
FUZZERS := $(call chosen,$(patsubst tests/fuzz/%.c,%,\
    $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_CC ?= clang
FUZZ_FLAGS = $(LANGUAGE) -g -w -O1 -fno-sanitize-recover=all \
    -fno-omit-frame-pointer $(CPPFLAGS)
$(call archives,build/fuzz)
build/fuzz/called.a: $(call objects,build/fuzz,$(FUZZED))
build/fuzz/%.a:
	$(archive)

build/fuzz/%.o: %.c $(OUT)/flags
	@mkdir -p $(@D)
	$(call run,CC,fuzz $<)$(FUZZ_CC) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $< \
	    -fsanitize=fuzzer-no-link$(comma)address$(comma)undefined

build/fuzz/bin/%: build/fuzz/tests/fuzz/%.o \
    $(patsubst %,build/fuzz/%.a,called store base)
	@mkdir -p $(@D)
	$(call run,LINK,$@)$(FUZZ_CC) -fsanitize=fuzzer$(comma)address$(comma)undefined \
	    -Wl,--as-needed -o $@ $^ $(ALL_LIBS)
.SECONDARY:

fuzz-programs: $(FUZZERS:%=build/fuzz/bin/%)
fuzz: fuzz-programs
	@sh tests/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZERS)
