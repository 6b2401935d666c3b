#!/usr/bin/python3
"""power.py - takes the power from a recorded run, a thousand times

  power.py [--images N] [--seed N] [--samples N]

Run by 55-power.sh, in a directory of its own. powerload.py plays a run of a
broker under strace; recording.py reads what it did, and disk.py what of that
may be on the disk at each moment. N different images of the store (1000),
spread over the whole run, are opened by tests/power/survey.c, and
promises.py judges each at every moment at which it may be what is left.

On some of them (20) the real broker is started, recorded again, and has to
finish all work; then the power fails in the midst of that as well.

In the end the harness is put to the test: with a disk that does not do what
the kernel promises, it has to find that something is lost.
"""
# SPDX-License-Identifier: MIT

import argparse
import copy
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import powerload
import promises
import recording
from broker import Failure, Refused
from disk import PAGE, Disk

SURVEY = os.path.join(os.environ["BIN"], "..", "tests", "power", "survey")
SURVEYORS = 2
SAMPLES_AT_A_TIME = 4
TRIES = 8  # looks in one moment for an image that is new, for each wanted
MANNERS = ("some", "torn", "prefix", "names", "data")
FINDINGS_MAX = 5  # shown
STORE = "store"
# That a reader dies of a damaged store is told as a finding, not by the
# sanitizer's report.
NO_REPORTS = {name: value for name, value in os.environ.items()
              if name not in ("ASAN_OPTIONS", "UBSAN_OPTIONS")}


def fail(message):
    print(f"power: {message}", file=sys.stderr)
    sys.exit(1)


# ---- looking at images ----

class Surveyor:
    """A process of survey.c, started again when a store brings it down."""

    def __init__(self):
        self.process = None

    def look(self, directory):
        """The lines that tell what is in a store."""
        if self.process is None:
            self.process = subprocess.Popen(
                [SURVEY], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True, errors="replace",
                env=NO_REPORTS)
        self.process.stdin.write(directory + "\n")
        self.process.stdin.flush()
        lines = []
        while True:
            line = self.process.stdout.readline()
            if line == "end\n":
                return lines
            if not line:
                code = self.process.wait()
                self.process = None
                return [f"fault the reader died with {code}"]
            lines.append(line.rstrip("\n"))

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()


class Album:
    """The images that were looked at, and what was in them."""

    def __init__(self):
        self.stores = {}    # number of an image to what is in it, or to come
        self.work = queue.Queue(maxsize=2 * SURVEYORS)
        self.known = {}     # equal stores are kept once
        self.threads = [threading.Thread(target=self.survey, daemon=True)
                        for _ in range(SURVEYORS)]
        self.failure = None
        for thread in self.threads:
            thread.start()

    def has(self, image):
        return image.number in self.stores

    def add(self, image):
        self.stores[image.number] = None
        self.work.put(image)

    def survey(self):
        surveyor = Surveyor()
        while True:
            image = self.work.get()
            if image is None:
                break
            try:
                self.stores[image.number] = self.look(surveyor, image)
            except Exception as error:  # told by the main thread
                self.failure = error
        surveyor.close()

    def look(self, surveyor, image):
        if STORE not in image.dirs:
            return self.keep([])
        with tempfile.TemporaryDirectory(dir=".") as place:
            image.make(place)
            return self.keep(surveyor.look(os.path.join(place, STORE)))

    def keep(self, lines):
        text = "\n".join(lines)
        if text not in self.known:
            self.known[text] = promises.Store(lines)
        return self.known[text]

    def close(self):
        """Waits for all."""
        for _ in self.threads:
            self.work.put(None)
        for thread in self.threads:
            thread.join()
        if self.failure:
            raise self.failure


# ---- replaying ----

def with_a_hasty_broker(events):
    """Each answer stands in front of the flush that it waits for."""
    hasty, flush_at = [], 0
    for event in events:
        if event[0] == "flush":
            flush_at = len(hasty)
        if event[0] == "said":
            hasty.insert(flush_at, event)
            flush_at += 1
        else:
            hasty.append(event)
    return hasty


def commits(events):
    """Places of the flushes and meta writes of commits that were followed by
    a lease, a confirmation of a chunk or of a result."""
    flush_at, meta_at, found = None, None, []
    synced, dirs = set(), set()
    for place, event in enumerate(events):
        if event[0] == "open":
            (synced.add if event[3] else synced.discard)(event[1])
            (dirs.add if event[5] else dirs.discard)(event[1])
        elif event[0] == "flush" and event[1] not in dirs:
            flush_at, meta_at = place, None
        elif event[0] == "write" and event[1] in synced:
            meta_at = place
        elif (event[0] == "said" and meta_at is not None
              and event[2]["verb"] in ("lease", "stored", "confirmed")):
            found.append((flush_at, meta_at))
            meta_at = None
    return found


class Weakness:
    """What a bad disk, or a bad broker, does not do. The kinds of findings
    that must come of it are named."""

    def __init__(self, name, wanted, **what):
        self.name, self.wanted = name, set(wanted.split())
        self.flushes = what.get("flushes", True)
        self.dirs = what.get("dirs", True)
        self.is_hasty = what.get("is_hasty", False)
        self.one = what.get("one")     # 0: a flush, 1: a write of a meta page
        self.missing = None            # the place of that

    def prepare(self, lives, rng):
        """The lives as they are with it."""
        if self.is_hasty:
            return [(with_a_hasty_broker(events), cut, left)
                    for events, cut, left in lives]
        if self.one is not None:
            self.missing = 0, rng.choice(commits(lives[0][0]))[self.one]
        return lives

    def spoils(self, kind, at):
        return ((kind == "flush" and not self.flushes)
                or (kind == "flush of a directory" and not self.dirs)
                or (kind == "write" and not self.flushes)
                or at == self.missing)


SOUND = Weakness("all is as it must be", "")
WEAKNESSES = (
    Weakness("nothing is flushed", "opening", flushes=False),
    Weakness("directories are not flushed", "state", dirs=False),
    Weakness("one flush is missing", "", one=0),
    Weakness("one write of the meta page is missing", "", one=1),
    Weakness("answers do not wait for the disk",
             "state count chunk fence report answer", is_hasty=True),
)


class Replay:
    """Goes through recorded lives: first for images of what may be left, then
    for what must be in them."""

    def __init__(self, disk, images, seed, samples=0, weakness=SOUND):
        self.disk, self.images, self.weakness = disk, images, weakness
        self.rng = random.Random(seed)
        self.album = Album()
        self.moments = {}  # (life, place) to images: number to manner
        self.samples, self.samples_wanted = [], samples
        self.done, self.total = 0, 0

    # ---- what may be left ----

    def take(self, lives):
        """Takes images all over the lives. The real file at the end of each
        must be what the model says."""
        self.total = sum(len(events) for events, _, _ in lives)
        for life, (events, cut, left) in enumerate(lives):
            for place, event in enumerate(events):
                self.done += 1
                self.moments[life, place] = {}
                self.apply(event, (life, place))
            self.check_left(cut, left)
            self.disk.end_process()
        self.album.close()

    def apply(self, event, at):
        """Does what an event does to the disk, and takes images."""
        kind, *words = event
        disk, pieces, moment = self.disk, [], self.moments[at]
        if kind == "open":
            disk.opened(*words)
        elif kind == "close":
            disk.closed(*words)
        elif kind == "write":
            pieces = disk.write(*words)
        elif kind == "truncate":
            disk.truncate(*words)
        elif kind == "flush":
            whose = " of a directory" if disk.is_dir_fd(*words) else ""
            if not self.weakness.spoils(kind + whose, at):
                disk.flush(*words)
        elif kind == "mkdir":
            disk.mkdir(*words)
        elif kind in ("rmdir", "unlink"):
            disk.remove(*words)
        elif kind == "rename":
            disk.rename(*words)
        self.take_some(moment, is_told=kind == "said")
        if pieces and not self.weakness.spoils(kind, at):
            disk.settle(pieces)

    def take_some(self, moment, is_told):
        """What was told must be there from now on, so that all that may be
        left at least is looked at. Else, images are spread over the run."""
        if is_told:
            self.take_one(moment, "none")
            self.take_one(moment, "all")
        share = self.images * self.done // self.total
        for _ in range(TRIES * (1 + self.images // self.total)):
            if len(self.album.stores) >= share:
                break
            self.take_one(moment, self.rng.choice(MANNERS))

    def take_one(self, moment, how):
        image = self.disk.image(how, self.rng)
        moment.setdefault(image.number, how)
        if self.album.has(image):
            return
        self.album.add(image)
        share = self.samples_wanted * len(self.album.stores) // self.images
        if len(self.samples) < min(share, self.samples_wanted):
            self.samples.append((image, len(self.moments)))

    def check_left(self, cut, left):
        """The model must be what the process has left. A write that a kill
        has cut may have been done up to some page, or not at all."""
        if self.is_left(left):
            return
        for _, fd, offset, data in cut:
            for at in range(0, len(data), PAGE):
                self.disk.write(fd, offset + at, data[at:at + PAGE])
                if self.is_left(left):
                    return
        raise Failure("the recording does not lead to the file that was left")

    def is_left(self, left):
        image = self.disk.image("all", self.rng)
        return image.content(f"{STORE}/data.mdb") == left

    # ---- what must be in it ----

    def judge(self, lives, ledger):
        """What is wrong, and where; and each sample with what was promised
        when it was taken."""
        findings, known, samples = [], {}, []
        moments = 0
        for life, (events, _, _) in enumerate(lives):
            ledger.restarted()
            for place, event in enumerate(events):
                moments += 1
                if event[0] in ("heard", "said", "left"):
                    getattr(ledger, event[0])(*event[1:])
                for number, how in self.moments[life, place].items():
                    store = self.album.stores[number]
                    key = id(store), ledger.now
                    if key not in known:
                        known[key] = ledger.judge(store)
                    if known[key]:
                        findings.append((life, place, how, known[key]))
                for image, at in self.samples:
                    if at == moments:
                        samples.append((image, copy.deepcopy(ledger)))
        return findings, samples


def show(findings):
    for life, place, how, sentences in findings[:FINDINGS_MAX]:
        print(f"  life {life}, event {place}, {how}:", file=sys.stderr)
        for kind, sentence in sentences[:FINDINGS_MAX]:
            print(f"    {kind}: {sentence}", file=sys.stderr)


# ---- the real broker over what was left ----

class Sample:
    """One image: the broker is started on it, and loses the power again."""

    def __init__(self, number, image, ledger, images):
        self.number, self.image, self.ledger = number, image, ledger
        self.images, self.failure, self.count = images, None, 0
        self.root = f"sample{number}"

    def run(self):
        try:
            self.play()
        except Exception as error:  # told by the main thread
            self.failure = error
        finally:
            shutil.rmtree(self.root, ignore_errors=True)

    def play(self):
        root = os.path.abspath(f"{self.root}/disk")
        os.makedirs(root, 0o700)
        runtime = tempfile.mkdtemp(dir=os.environ["XDG_RUNTIME_DIR"])
        record = f"{self.root}/strace"
        self.image.make(root)
        with open(f"sample{self.number}.log", "w", encoding="utf-8") as log:
            left = powerload.recover(root, runtime, log, record, self.ledger)
        events, cut = recording.read_events(record, root)
        lives = [(events, cut, left)]
        replay = Replay(self.image.disk(), self.images, self.number)
        replay.take(lives)
        findings, _ = replay.judge(lives, self.ledger)
        self.count = len(replay.album.stores)
        show(findings)
        if findings:
            raise Failure(f"{len(findings)} findings after a second "
                                    "loss of power")


def run_samples(samples):
    """Runs them, some at a time. How many images came of it."""
    waiting = queue.Queue()
    for sample in samples:
        waiting.put(sample)

    def work():
        while True:
            try:
                waiting.get_nowait().run()
            except queue.Empty:
                return

    threads = [threading.Thread(target=work) for _ in range(SAMPLES_AT_A_TIME)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sample in samples:
        if sample.failure:
            fail(f"sample {sample.number} ({sample.image.how}): "
                 f"{type(sample.failure).__name__}: {sample.failure}")
    return sum(sample.count for sample in samples)


# ---- all of it ----

def measured(text, begun):
    print(f"  {text}, {time.monotonic() - begun:.1f} s", flush=True)
    return time.monotonic()


def record(root, log):
    records = powerload.play(root, os.environ["XDG_RUNTIME_DIR"], log)
    return [(*recording.read_events(path, root), left)
            for path, left in records]


def find_weakness(weakness, lives, args, rng):
    """What is found with a weakness, and the kinds of it."""
    bad = weakness.prepare(lives, rng)
    replay = Replay(Disk(), args.weak_images, args.seed, weakness=weakness)
    replay.take(bad)
    findings, _ = replay.judge(bad, promises.Ledger())
    kinds = {kind for finding in findings for kind, _ in finding[3]}
    return (f"{len(findings)} findings among {len(replay.album.stores)} images "
            f"({' '.join(sorted(kinds))})", kinds)


def find_weaknesses(lives, args):
    """The harness must find each of them. Of a commit that is spoilt, nothing
    may be seen if no answer was waiting for it: then it is another's turn."""
    rng = random.Random(args.seed)
    for weakness in WEAKNESSES:
        for _ in range(TRIES if weakness.one is not None else 1):
            begun = time.monotonic()
            text, kinds = find_weakness(weakness, lives, args, rng)
            measured(f"{weakness.name}: {text}", begun)
            if kinds:
                break
        if not kinds or not weakness.wanted <= kinds:
            fail(f"{weakness.name}: found {sorted(kinds)}, want "
                 f"{sorted(weakness.wanted) or 'any'}; seed {args.seed}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--weak-images", type=int, default=100)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--second-images", type=int, default=25)
    parser.add_argument("--seed", type=int)
    args = parser.parse_args()
    if args.seed is None:
        args.seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {args.seed}", flush=True)
    begun = time.monotonic()
    root = os.path.abspath("disk")
    os.mkdir(root, 0o700)
    with open("power.err", "w", encoding="utf-8") as log:
        lives = record(root, log)
    begun = measured(f"{sum(len(life[0]) for life in lives)} events in "
                     f"{len(lives)} lives", begun)

    replay = Replay(Disk(), args.images, args.seed, args.samples)
    replay.take(lives)
    findings, chosen = replay.judge(lives, promises.Ledger())
    count = len(replay.album.stores)
    begun = measured(f"{count} images, {len(replay.album.known)} different "
                     f"stores, {len(findings)} findings", begun)
    show(findings)
    if findings:
        fail(f"{len(findings)} findings with seed {args.seed}")
    if count < args.images:
        fail(f"images: got {count}, want {args.images}")

    samples = [Sample(number, image, ledger, args.second_images)
               for number, (image, ledger) in enumerate(chosen)]
    images = run_samples(samples)
    begun = measured(f"{len(samples)} images worked on by a broker, which lost "
                     f"power again: {images} images", begun)
    find_weaknesses(lives, args)


if __name__ == "__main__":
    try:
        main()
    except (Failure, Refused) as error:
        fail(error)
