#!/usr/bin/python3
"""dictionary.py - makes the dictionary that replies are packed with

    dictionary.py >base/pack_dictionary.c

Replies as the dialects have them, with the prose of this repository for text,
are given to `zstd --train` (Debian's package zstd, which nothing else needs).
What comes of it is part of the store's format: a dictionary is never changed,
but a new one gets a number of its own, and a place beside the old ones.
"""
# SPDX-License-Identifier: MIT

import json
import pathlib
import random
import string
import subprocess
import sys
import tempfile

NUMBER = 32769  # those below 32768 are for dictionaries that all know
BYTES = 4096
SAMPLES = 4000
TEXT_BYTES = (100, 300, 600, 1000, 1600, 2400)
PROSE = (
    "README.md",
    "queue/PROTOCOL.md",
    "queue/SCHEDULER.md",
    "store/FORMAT.md",
)
HEAD = """\
/* SPDX-License-Identifier: MIT */
/* Made by tests/pack/dictionary.py. It is part of the store's format: it is never
 * changed. */
#include "base/pack_dictionary.h"

/* clang-format off */
const unsigned char pack_dictionary[PACK_DICTIONARY_BYTES] = {
"""
TAIL = "};\n"
ROW = 12


class Replies:
    """Replies that might be, of all shapes."""

    def __init__(self, dice, prose):
        self.dice = dice
        self.prose = prose

    def letters(self, count, of=string.ascii_letters + string.digits):
        return "".join(self.dice.choice(of) for _ in range(count))

    def text(self):
        count = self.dice.choice(TEXT_BYTES)
        at = self.dice.randrange(len(self.prose) - count)
        return self.prose[at : at + count]

    def usage(self):
        prompt = self.dice.randrange(20, 4000)
        completion = self.dice.randrange(5, 900)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }

    def chat(self, is_whole):
        message = {"role": "assistant", "content": self.text()}
        choice = {"index": 0, "message": message}
        usage = self.usage()
        if is_whole:
            message.update(refusal=None, annotations=[])
            choice["logprobs"] = None
            usage["prompt_tokens_details"] = {
                "cached_tokens": 0,
                "audio_tokens": 0,
            }
            usage["completion_tokens_details"] = {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            }
        choice["finish_reason"] = self.dice.choice(("stop", "stop", "length"))
        reply = {
            "id": "chatcmpl-" + self.letters(29),
            "object": "chat.completion",
            "created": self.dice.randrange(1700000000, 1800000000),
            "model": self.letters(6),
            "choices": [choice],
            "usage": usage,
        }
        if is_whole:
            reply["service_tier"] = "default"
            reply["system_fingerprint"] = "fp_" + self.letters(
                10, string.hexdigits.lower()
            )
        return reply

    def messages(self):
        usage = self.usage()
        return {
            "id": "msg_01" + self.letters(22),
            "type": "message",
            "role": "assistant",
            "model": self.letters(6),
            "content": [{"type": "text", "text": self.text()}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": usage["prompt_tokens"],
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": usage["completion_tokens"],
            },
        }

    def next(self):
        kind = self.dice.randrange(8)
        reply = self.messages() if kind == 0 else self.chat(kind < 6)
        style = self.dice.randrange(5)
        if style == 0:
            return json.dumps(reply, indent=2)
        if style < 3:
            return json.dumps(reply, separators=(",", ":"))
        return json.dumps(reply)


def train(replies):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for number in range(SAMPLES):
            (folder / f"{number:05}").write_text(
                replies.next(), encoding="utf-8"
            )
        target = folder / "dictionary"
        subprocess.run(
            ["zstd", "-q", "--train", "-r", folder, "-o", target]
            + [f"--maxdict={BYTES}", f"--dictID={NUMBER}"],
            check=True,
        )
        return target.read_bytes()


def main():
    prose = " ".join(
        " ".join(pathlib.Path(name).read_text(encoding="utf-8").split())
        for name in PROSE
    )
    made = train(Replies(random.Random(1), prose))
    if len(made) != BYTES:
        sys.exit(f"{len(made)} bytes, not {BYTES}")
    lines = [
        "    " + " ".join(f"0x{byte:02x}," for byte in made[at : at + ROW])
        for at in range(0, len(made), ROW)
    ]
    sys.stdout.write(HEAD + "\n".join(lines) + "\n" + TAIL)


if __name__ == "__main__":
    main()
