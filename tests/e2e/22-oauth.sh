#!/bin/sh
# 22-oauth.sh - access tokens, by the worker alone
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/cases.sh"

run_cases token_cases.py "$@"
