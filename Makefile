# Makefile - builds, tests and installs Sheaf
#
#   make                the programs and the client library, in build/plain/
#   make deps           install what is needed to build, test and lint (Debian)
#   make demo           summarise real documents of this machine
#   make check          all tests; T=json only those with json in their names
#   make sampler        the sampler beside the first three sentences
#   make fairness       mean times to completion under three schedules
#   make instructions   what the hot paths take, beside what they took
#   make sheaf-load     a load test for a deployment
#   make soak           load, faults and restarts for MINUTES (15), and what grows
#   make bench          Sheaf beside what people would use instead
#   make churn          the store's size over ten simulated hours, and its plot
#   make lint           formatting, clang-tidy, eslint, layers, words, documents
#   make sim            10000 simulated histories; SEEDS=n, SEED=s replays one
#   make sim-bugs       bugs planted in the broker, each found by the simulator
#   make fuzz           every fuzzer, FUZZ_SECONDS (20) each
#   make format         apply clang-format
#   make install        below PREFIX (/usr/local), with DESTDIR before it
#
# SAN=address,undefined builds and tests with sanitizers, in a directory of its
# own. WERROR=1 makes warnings errors, V=1 shows the commands. CFLAGS, CPPFLAGS
# and LDFLAGS add to ours.
# SPDX-License-Identifier: MIT

VERSION := 0.1.0
SOVERSION := 0

# The architecture: each folder is an archive, and a program is its main file
# with the archives of the layers that it may know.
FOLDERS := base store queue worker submit
MAINS := queue/sheafd.c worker/sheaf_worker.c submit/main.c \
    submit/sheaf_http.c
WIRE := queue/wire.c queue/wire_write.c queue/link.c queue/endpoint.c \
    queue/socket_file.c queue/last_words.c
LIBRARY := $(addprefix submit/,sheaf.c upload.c upload_chunk.c opening.c \
    connection.c pages.c refusals.c)

PKGS := libcrypto libxxhash icu-uc icu-i18n inih libcjson libzmq libcurl uuid \
    libmicrohttpd libzstd
LIBS_base = $(call pkg,--libs,libcrypto libxxhash icu-uc inih libzstd) -lm
LIBS_wire = $(call pkg,--libs,libcjson libzmq)
LIBS_queue = $(call pkg,--libs,icu-i18n uuid) -llmdb
LIBS_worker = $(call pkg,--libs,libcurl uuid)
LIBS_submit = $(call pkg,--libs,uuid)
# What the client library has of them.
LIBS_client = $(call pkg,--libs,libcjson libzmq libcrypto libxxhash)
LIBS_http = $(call pkg,--libs,libmicrohttpd)

# Where node is not Debian's, npm comes with it and has no package.
NPM := $(if $(shell command -v npm),,npm)
DEPS := build-essential pkg-config libssl-dev libxxhash-dev libicu-dev \
    libinih-dev libcjson-dev libzmq3-dev libcurl4-openssl-dev uuid-dev \
    liblmdb-dev libzstd-dev libcriterion-dev libmicrohttpd-dev clang clang-format \
    clang-tidy libclang-rt-dev mandoc strace curl ca-certificates procps \
    python3 python3-zmq openssl prometheus sqlite3 faketime valgrind chromium \
    $(NPM)

comma := ,
VARIANT := $(if $(SAN),san-$(subst $(comma),-,$(SAN)),plain)
OUT := build/$(VARIANT)
BIN := $(OUT)/bin
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/sheaf
COMPLETIONSDIR ?= $(PREFIX)/share/bash-completion/completions

WARNINGS := -Wall -Wextra -Wformat=2 -Werror=format-security -Wconversion \
    -Wimplicit-fallthrough -Wvla -Wshadow -Wstrict-prototypes \
    -Wmissing-prototypes -Wpointer-arith -Wundef \
    $(if $(filter-out 0,$(WERROR)),-Werror)
HARDEN_x86_64 := -fcf-protection=full
HARDEN_aarch64 := -mbranch-protection=standard
HARDEN := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong \
    -fstack-clash-protection -ftrivial-auto-var-init=zero \
    -fno-strict-overflow -fno-delete-null-pointer-checks \
    $(HARDEN_$(shell uname -m))
# Behind the sanitizers' code, or at -O0, gcc does not know the ranges that these
# two warnings need.
BLIND := -Wno-format-truncation -Wno-maybe-uninitialized
# Hardening would hide from the sanitizers what they look for.
MODE := $(if $(SAN),-O1 -fsanitize=$(SAN) -fno-sanitize-recover=all \
    -fno-omit-frame-pointer $(BLIND),-O2 $(HARDEN))
# One set of objects serves programs and the shared library, hence -fPIC.
LANGUAGE = -std=c11 -I. -DSHEAF_VERSION='"$(VERSION)"' $(PKG_CFLAGS)
BASE_FLAGS = $(LANGUAGE) -g -fPIC -fvisibility=hidden $(WARNINGS)
COMPILE = $(BASE_FLAGS) $(MODE) $(UNIT_MODE) $(CPPFLAGS) $(CFLAGS)
LINK = $(CC) $(if $(SAN),-fsanitize=$(SAN)) -Wl,-z,relro,-z,now \
    -Wl,-z,noexecstack,-z,separate-code -Wl,--as-needed $(CFLAGS) $(LDFLAGS)

# Asked on first use: before `make deps` there may be no pkg-config.
pkg = $(shell pkg-config $(1) $(2))
PKG_CFLAGS = $(eval PKG_CFLAGS := $(call pkg,--cflags,$(PKGS)))$(PKG_CFLAGS)
DEPS_FIRST := $(filter deps,$(MAKECMDGOALS))

objects = $(patsubst %.c,$(1)/%.o,$(2))
sources = $(filter-out $(MAINS),$(wildcard $(1)/*.c))
archives = $(foreach folder,$(FOLDERS),\
    $(eval $(1)/$(folder).a: $(call objects,$(1),$(call sources,$(folder)))))
run = $(if $(V),,@printf '  %-5s %s\n' $(1) '$(2)';)

PROGRAMS := $(addprefix $(BIN)/,sheafd sheaf-worker sheaf sheaf-http)
SHARED := $(OUT)/libsheaf.so.$(SOVERSION)

.DELETE_ON_ERROR:
.PHONY: all deps demo check sampler fairness churn lint fuzz sim sim-bugs format install uninstall clean FORCE
all: $(PROGRAMS) $(OUT)/libsheaf.a $(SHARED)

$(call archives,$(OUT))
$(OUT)/wire.a: $(call objects,$(OUT),$(WIRE))

$(BIN)/sheafd: LIBS = $(LIBS_queue) $(LIBS_wire) $(LIBS_base)
$(BIN)/sheafd: $(OUT)/queue/sheafd.o $(OUT)/queue.a $(OUT)/store.a \
    $(OUT)/base.a
$(BIN)/sheaf-worker: LIBS = $(LIBS_worker) $(LIBS_wire) $(LIBS_base)
$(BIN)/sheaf-worker: $(OUT)/worker/sheaf_worker.o $(OUT)/worker.a \
    $(OUT)/wire.a $(OUT)/base.a
$(BIN)/sheaf: LIBS = $(LIBS_submit) $(LIBS_wire) $(LIBS_base)
$(BIN)/sheaf: $(OUT)/submit/main.o $(OUT)/submit.a $(OUT)/wire.a \
    $(OUT)/base.a
$(BIN)/sheaf-http: LIBS = $(LIBS_http) $(LIBS_submit) $(LIBS_wire) $(LIBS_base)
$(BIN)/sheaf-http: $(OUT)/submit/sheaf_http.o $(OUT)/submit.a $(OUT)/wire.a \
    $(OUT)/base.a
$(PROGRAMS):
	@mkdir -p $(@D)
	$(call run,LINK,$@)$(LINK) -pie -o $@ $^ $(LIBS)

$(SHARED): $(call objects,$(OUT),$(LIBRARY)) $(OUT)/wire.a $(OUT)/base.a
	$(call run,LINK,$@)$(LINK) -shared -Wl,-soname,$(@F) -Wl,-z,defs -o $@ $^ \
	    $(LIBS_wire) $(LIBS_base)
	@ln -sf $(@F) $(OUT)/libsheaf.so

# One object, so that only what sheaf.h declares can be linked with.
$(OUT)/libsheaf.a: $(call objects,$(OUT),$(LIBRARY)) $(OUT)/wire.a $(OUT)/base.a
	$(call run,AR,$@)$(LD) -r -o $(@:.a=.o) $^
	@objcopy --localize-hidden $(@:.a=.o)
	@rm -f $@ && $(AR) rcs $@ $(@:.a=.o)

define archive
@mkdir -p $(@D)
$(call run,AR,$@)rm -f $@ && $(AR) rcs $@ $^
endef
$(OUT)/%.a:
	$(archive)

$(OUT)/%.o: %.c $(OUT)/flags
	@mkdir -p $(@D)
	$(call run,CC,$<)$(CC) $(COMPILE) -MMD -MP -c -o $@ $<

# Changes when the flags do, and all objects with it.
$(OUT)/flags: FORCE | $(DEPS_FIRST)
	@pkg-config --print-errors --exists $(PKGS) || { \
	    echo 'A library is missing: make deps' >&2; exit 1; }
	@mkdir -p $(@D)
	@echo "$(CC) $(COMPILE)" | cmp -s - $@ || echo "$(CC) $(COMPILE)" >$@

# The status page is part of the gateway.
$(OUT)/submit/http_page.o: $(wildcard submit/page/*)

# Quick, and without the network, when all is there.
deps:
	@dpkg-query -W -f '$${db:Status-Status}\n' $(DEPS) 2>/dev/null | \
	    grep -cx installed | grep -qx $(words $(DEPS)) || { \
	    set -e; as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	    $$as_root apt-get update; \
	    $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y \
	    --no-install-recommends $(DEPS); }

PAGES := $(wildcard $(FOLDERS:%=%/*.[18]))
EXAMPLES := $(shell find examples -type f)
TO_BIN = $(DESTDIR)$(BINDIR)
TO_LIB = $(DESTDIR)$(LIBDIR)
TO_INCLUDE = $(DESTDIR)$(INCLUDEDIR)
TO_DOC = $(DESTDIR)$(DOCDIR)
TO_COMPLETIONS = $(DESTDIR)$(COMPLETIONSDIR)
to_man = $(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(1)))

install: all
	install -d $(TO_BIN) $(TO_LIB)/pkgconfig $(TO_INCLUDE)
	install $(PROGRAMS) $(TO_BIN)
	install -m 644 $(OUT)/libsheaf.a $(SHARED) $(TO_LIB)
	ln -sf $(notdir $(SHARED)) $(TO_LIB)/libsheaf.so
	install -m 644 submit/sheaf.h $(TO_INCLUDE)
	printf '%s\n' 'Name: sheaf' 'Description: Client of the Sheaf broker' \
	    'Version: $(VERSION)' 'Cflags: -I$(INCLUDEDIR)' \
	    'Libs: -L$(LIBDIR) -lsheaf' 'Libs.private: $(LIBS_client)' >$(TO_LIB)/pkgconfig/sheaf.pc
	$(foreach page,$(PAGES),install -D -m 644 -t $(call to_man,$(page)) $(page);)
	$(foreach file,$(EXAMPLES),install -D -m 644 $(file) $(TO_DOC)/$(file);)
	sed -i 's|=/usr/local/bin/|=$(BINDIR)/|' $(TO_DOC)/examples/*.service
	install -d $(TO_COMPLETIONS)
	install -m 644 submit/sheaf.bash $(TO_COMPLETIONS)/sheaf
	for program in $(filter-out sheaf,$(notdir $(PROGRAMS))); do \
	    ln -sf sheaf $(TO_COMPLETIONS)/$$program || exit; \
	done

uninstall:
	rm -f $(addprefix $(TO_BIN)/,$(notdir $(PROGRAMS))) $(TO_INCLUDE)/sheaf.h
	rm -f $(addprefix $(TO_LIB)/,libsheaf.a libsheaf.so $(notdir $(SHARED)) \
	    pkgconfig/sheaf.pc)
	rm -f $(foreach page,$(PAGES),$(call to_man,$(page))/$(notdir $(page)))
	rm -rf $(TO_DOC)
	rm -f $(addprefix $(TO_COMPLETIONS)/,$(notdir $(PROGRAMS)))

clean:
	rm -rf build

include tests/check.mk tests/lint.mk tests/bench/bench.mk tests/bench/load.mk

-include $(wildcard $(OUT)/*/*.d $(OUT)/*/*/*.d build/fuzz/*/*.d \
    build/fuzz/*/*/*.d)
