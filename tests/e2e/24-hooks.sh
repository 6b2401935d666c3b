#!/bin/sh
# 24-hooks.sh - the worker carries events to webhooks, between a fake broker and
# receivers
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/cases.sh"

run_cases webhook_cases.py "$@"
