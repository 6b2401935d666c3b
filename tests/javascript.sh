#!/bin/sh
# javascript.sh - fails when a script of JavaScript has what eslint finds wrong
#
# eslint is an npm package, installed below build/npm-lint once; that needs the
# network, and its lack is a failure. What is looked for is in eslint.config.cjs.
# SPDX-License-Identifier: MIT
set -u

ESLINT=9.39.1 # the last line to be content with Debian 12's node
dir=build/npm-lint

[ -f "$dir/eslint-$ESLINT" ] || {
    command -v npm >/dev/null || {
        echo 'javascript.sh: there is no npm: make deps' >&2
        exit 1
    }
    rm -rf "$dir"
    mkdir -p "$dir"
    (cd "$dir" && echo '{"private":true}' >package.json &&
        npm install --no-audit --no-fund --loglevel error \
            --cache "$PWD/cache" "eslint@$ESLINT" >npm.out) || {
        echo 'javascript.sh: npm cannot install eslint; see its words' >&2
        exit 1
    }
    rm -rf "$dir/cache"
    : >"$dir/eslint-$ESLINT"
}
NODE_PATH=$PWD/$dir/node_modules
export NODE_PATH
exec "$dir/node_modules/.bin/eslint" --config tests/eslint.config.cjs \
    --max-warnings 0 --report-unused-disable-directives \
    submit/page tests/e2e tests/bench tests/eslint.config.cjs
