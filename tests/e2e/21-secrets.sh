#!/bin/sh
# 21-secrets.sh - the worker's credentials: where they go, and where they don't
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/cases.sh"

run_cases secret_cases.py "$@"
