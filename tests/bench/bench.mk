# bench.mk - Sheaf beside what people would use instead
#
#   make deps-bench          install the others (Debian, npm)
#   make bench               run, and print the table; BENCH=submit,life some rows,
#                            WHO=Sheaf,Redis some systems
#   make bench-report        write table and plot into the README; of JSON=file
#
# BENCH_SCALE=tiny|normal|full says how much; ROUNDS=n how often. JSON=file
# keeps the figures. BENCH_DIR is where all of them keep their files. With
# BENCH_REQUIRE=1 one that is not installed is an error. PROFILE=1 shows where
# sheafd's time goes. What is measured is written in tests/bench/rows.py.
# SPDX-License-Identifier: MIT

BENCH ?=
BENCH_SCALE ?= normal
BENCH_DIR ?= $(OUT)/bench
BENCH_OUT := $(OUT)/tests/bench
BENCH_DEPS := beanstalkd redis-server postgresql nats-server libhiredis-dev \
    libpq-dev nodejs python3-aiohttp gnuplot-nox linux-perf $(NPM)
# Below build/, as all that is made; pinned, so that figures can be compared.
BENCH_NPM := openai@6.49.0 p-limit@5.0.0
BENCH_NODE := build/npm-bench
BENCH_LIBS = $(LIBS_submit) $(LIBS_wire) $(LIBS_base) -pthread
BENCH_AIDS = $(call objects,$(OUT),tests/bench/drive.c tests/bench/payload.c)

# A driver whose library is not there is not built, and its system is skipped.
has = $(shell pkg-config --exists $(1) 2>/dev/null && echo $(2))
BENCH_DRIVERS := drive_sheaf drive_worker drive_beanstalkd drive_lmdb \
    drive_nats $(call has,hiredis,drive_redis) $(call has,libpq,drive_postgres)
BENCH_PROGRAMS := $(addprefix $(BENCH_OUT)/,$(BENCH_DRIVERS) floor instant)

.PHONY: deps-bench bench bench-report bench-json
$(BENCH_OUT)/drive_lmdb: LIBS = -llmdb
$(BENCH_OUT)/drive_redis: LIBS = $(call pkg,--libs,hiredis)
$(BENCH_OUT)/drive_postgres: LIBS = $(call pkg,--libs,libpq)
$(BENCH_OUT)/floor: LIBS = $(LIBS_worker)
$(OUT)/tests/bench/drive_redis.o: PKG_CFLAGS += $(call pkg,--cflags,hiredis)
$(OUT)/tests/bench/drive_postgres.o: PKG_CFLAGS += $(call pkg,--cflags,libpq)
$(BENCH_PROGRAMS): $(BENCH_OUT)/%: $(BENCH_OUT)/%.o $(BENCH_AIDS) \
    $(OUT)/submit.a $(OUT)/wire.a $(OUT)/base.a
	$(call run,LINK,$@)$(LINK) -pie -o $@ $^ $(LIBS) $(BENCH_LIBS)

# Quick, and without the network, when all is there. Debian may start some of the
# servers by itself, on their usual ports: the benchmark starts others of its own.
deps-bench: deps
	@dpkg-query -W -f '$${db:Status-Status}\n' $(BENCH_DEPS) 2>/dev/null | \
	    grep -cx installed | grep -qx $(words $(BENCH_DEPS)) || { \
	    set -e; as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	    $$as_root apt-get update; \
	    $$as_root env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y --no-install-recommends $(BENCH_DEPS); }
	@[ -f $(BENCH_NODE)/done ] || { set -e; mkdir -p $(BENCH_NODE); \
	    cd $(BENCH_NODE); echo '{"private":true}' >package.json; \
	    npm install --no-audit --no-fund $(BENCH_NPM); : >done; }

BENCH_PYTHON := PYTHONDONTWRITEBYTECODE=1 OUT=$(OUT) /usr/bin/python3
bench: all $(BENCH_PROGRAMS)
	@BENCH_PROFILE=$(PROFILE) $(BENCH_PYTHON) tests/bench/bench.py \
	    $(BENCH_DIR) --scale $(BENCH_SCALE) \
	    $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(BENCH),--only $(BENCH)) \
	    $(if $(WHO),--who '$(WHO)') \
	    $(if $(filter 1,$(BENCH_REQUIRE)),--require) \
	    $(if $(JSON),--json $(JSON))

# Of the figures in JSON, or of new ones.
BENCH_JSON = $(or $(JSON),$(OUT)/bench.json)
bench-report: $(if $(JSON),,bench-json)
	@$(BENCH_PYTHON) tests/bench/report.py $(BENCH_JSON) README.md \
	    $(OUT)/bench.panels
	@gnuplot -e "panels_file='$(OUT)/bench.panels'" tests/bench/plot.gp \
	    >tests/bench/bench.svg

bench-json:
	@$(MAKE) bench JSON=$(BENCH_JSON)
