#!/bin/sh
# 02-install.sh - what is installed works, shows no more than it promises, and
# goes away again
#
# BIN is the directory of the built programs, OUT what it stands in, as a path
# from here; SAN names the sanitizers that it was built with.
# SPDX-License-Identifier: MIT
set -u

: "${BIN:?the directory of the built programs}" "${OUT:?}"
SAN=${SAN-}
CC=${CC:-cc}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
root=$dir/root
failed=0

check() { # CLAIM GOT WANT
    [ "$2" = "$3" ] && return
    printf 'FAIL %s\n  got:  %s\n  want: %s\n' "$1" "$2" "$3" >&2
    failed=1
}

# Installs what is built, and builds nothing.
run_make() { # TARGET
    make -s -o all "$1" SAN="$SAN" DESTDIR="$root" PREFIX=/usr \
        >"$dir/make.log" 2>&1
    check "make $1" "$?: $(cat "$dir/make.log")" "0: "
}

files() {
    (cd "$root" && find . ! -type d | LC_ALL=C sort)
}

needs() { # FILE
    readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(lib[a-z]*\).*/\1/p' | tr '\n' ' '
}

test_files() {
    for file in bin/sheafd bin/sheaf-worker bin/sheaf bin/sheaf-http include/sheaf.h \
        lib/libsheaf.a lib/libsheaf.so lib/libsheaf.so.0 \
        lib/pkgconfig/sheaf.pc share/man/man8/sheafd.8 \
        share/man/man8/sheaf-worker.8 share/man/man8/sheaf-http.8 \
        share/man/man1/sheaf.1 \
        share/doc/sheaf/examples/sheaf.conf \
        share/bash-completion/completions/sheaf \
        share/bash-completion/completions/sheafd \
        share/bash-completion/completions/sheaf-worker \
        share/bash-completion/completions/sheaf-http; do
        [ -s "$root/usr/$file" ] || check "is installed" "" "$file"
    done
    check "units start what is installed" "$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' \
        "$root"/usr/share/doc/sheaf/examples/*.service | sort | tr '\n' ' ')" \
        "/usr/bin/sheaf-http /usr/bin/sheafd "
    version=$(sed -n 's/^VERSION := //p' Makefile)
    check "the version" "$("$root/usr/bin/sheaf" --version)" "sheaf $version"
    check "no program needs what its layer does not know" "$(
        for program in sheafd sheaf-worker sheaf sheaf-http; do
            needs "$root/usr/bin/$program" |
                grep -oE 'liblmdb|libcurl|libmicrohttpd|libcriterion|libicuuc' |
                sort | sed "s/^/$program /"
        done | tr '\n' ' ')" \
        "sheafd libicuuc sheafd liblmdb $(
        )sheaf-worker libcurl sheaf-worker libicuuc $(
        )sheaf-http libicuuc sheaf-http libmicrohttpd "
    for program in sheafd sheaf-worker sheaf sheaf-http; do
        check "$program is hardened" "$({
            readelf -d "$root/usr/bin/$program"
            readelf -lW "$root/usr/bin/$program"
        } | awk '/Flags: NOW PIE/ { print "PIE" } /GNU_RELRO/ { print "RELRO" }
            /GNU_STACK/ { print "STACK", $7 }' | sort | tr '\n' ' ')" \
            "PIE RELRO STACK RW "
    done
}

test_symbols() {
    nm -D --defined-only "$root/usr/lib/libsheaf.so.0" |
        sed -n 's/.* [A-Z] \(sheaf_[a-z_]*\)$/\1/p' >"$dir/shared"
    nm --extern-only --defined-only "$root/usr/lib/libsheaf.a" |
        sed -n 's/.* [A-Z] //p' | LC_ALL=C sort >"$dir/static"
    check "the shared library has the symbols of the header" \
        "$(grep -vwFf "$dir/shared" submit/sheaf.h |
            grep -oE '^[a-z].*\bsheaf_[a-z_]+\(' | grep -v typedef)" ""
    check "a symbol is in the header" "$(while read -r symbol; do
        grep -qw "$symbol" submit/sheaf.h || echo "$symbol"
    done <"$dir/shared")" ""
    # The sanitizers add theirs.
    [ -n "$SAN" ] ||
        check "the static library has the same" "$(cat "$dir/static")" \
            "$(LC_ALL=C sort "$dir/shared")"
}

# A program that uses the library, found by pkg-config.
test_library() {
    cat >"$dir/use.c" <<'END'
#include <sheaf.h>
#include <stdio.h>

int
main(void)
{
    struct sheaf_settings settings = { .endpoint = "no endpoint" };
    struct sheaf_error error = { 0 };
    struct sheaf *sheaf = sheaf_connect(&settings, &error);

    printf("%d %d\n", sheaf == NULL, error.code == SHEAF_E_USAGE);
    sheaf_close(sheaf);
    return 0;
}
END
    export PKG_CONFIG_PATH="$root/usr/lib/pkgconfig"
    export PKG_CONFIG_SYSROOT_DIR="$root"
    export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
    # shellcheck disable=SC2046 # lists
    $CC ${SAN:+-fsanitize=$SAN} -o "$dir/shared-use" "$dir/use.c" \
        $(pkg-config --cflags --libs sheaf)
    check "links with the shared library" "$(
        LD_LIBRARY_PATH=$root/usr/lib "$dir/shared-use")" "1 1"
    # shellcheck disable=SC2046
    $CC ${SAN:+-fsanitize=$SAN} -o "$dir/static-use" "$dir/use.c" \
        $(pkg-config --static --cflags --libs sheaf |
            sed 's/-lsheaf/-l:libsheaf.a/')
    check "asks for no library that it does not use" \
        "$(pkg-config --static --libs sheaf | grep -cE 'icu|inih|zstd')" 0
    check "links with the static library" "$("$dir/static-use")" "1 1"
    check "needs the shared library" "$(needs "$dir/shared-use" |
        grep -o libsheaf)" libsheaf
    check "does not need it" "$(needs "$dir/static-use" | grep -c libsheaf)" 0
    check "C++ reads the header" "$(printf '#include <sheaf.h>\n' | g++ -Wall \
        -Werror -fsyntax-only -I"$root/usr/include" -x c++ - 2>&1)" ""
}

run_make install
test_files
test_symbols
test_library
run_make uninstall
check "nothing is left" "$(files)" ""
exit $failed
