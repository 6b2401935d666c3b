#!/bin/sh
# 20-calls.sh - the calls that the worker makes, and what it makes of replies
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/cases.sh"

run_cases call_cases.py "$@"
