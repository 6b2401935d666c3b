#!/bin/sh
# 20-worker.sh - the worker alone, between a fake broker and the test upstream
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/cases.sh"

run_cases worker_cases.py "$@"
