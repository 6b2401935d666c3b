"""promises.py - what a broker has confirmed, and whether a store keeps it

A ledger follows what a broker hears and says. What was asked may be in the
store from then on; what was confirmed must be. A store is told as lines of
tests/power/survey.c, and judged against both:

  - it can be opened, and nothing in it contradicts itself;
  - a confirmed chunk is there byte for byte with all its drafts and refusals,
    and one that was not confirmed is there in the same way or not at all;
  - a batch is in a state that it may have reached from the last one that was
    told, by itself or by what was asked since;
  - a result that was told is there byte for byte, or a better one is;
  - what a worker was told is stored is there, the reply byte for byte; a lease
    that was given out has left its fence; a worker that has slots is known;
  - nothing is there that nobody asked for.
"""
# SPDX-License-Identifier: MIT

import collections
import hashlib
import json

# What each verb may do to a batch. "gone": there is nothing left of it.
MOVES = {
    "seal": {"open": ("sealed", "abandoned", "gone")},
    "abort": {"open": ("abandoned", "gone")},
    "cancel": {"open": ("cancelled", "abandoned", "gone"),
               "sealed": ("cancelled",), "paused": ("cancelled",)},
    "pause": {"sealed": ("paused",)},
    "resume": {"paused": ("sealed",)},
    "retry": {"finished": ("sealed",), "expired": ("sealed",)},
    "purge": {state: ("purged",) for state in
              ("finished", "cancelled", "expired", "abandoned")},
    # By themselves.
    None: {"sealed": ("finished", "expired"), "paused": ("finished", "expired"),
           "abandoned": ("gone",), "purged": ("gone",)},
}
ANSWERS = {"opened", "status", "cancelled", "retried", "paused", "resumed",
           "sealed"}
DROPPED = {"purged", "abandoned", "gone"}
FINAL = {"ok", "cancelled"}


def sha(data):
    return hashlib.sha256(data).hexdigest()


def plain(word):
    """The text of a survey's word."""
    return "" if word == "-" else bytes.fromhex(word).decode()


class Store:
    """What a survey tells."""

    def __init__(self, lines):
        self.faults, self.is_refused = [], False
        self.batches, self.chunks, self.refusals = {}, {}, {}
        self.drafts = collections.defaultdict(dict)
        self.requests, self.workers = {}, set()
        for line in lines:
            kind, _, rest = line.partition(" ")
            getattr(self, f"add_{kind}")(rest)

    def add_fault(self, rest):
        self.faults.append(rest)

    def add_refused(self, rest):
        self.faults.append(rest)
        self.is_refused = True

    def add_batch(self, rest):
        (uuid, state, client, key, options, *numbers) = rest.split()
        self.batches[uuid] = {
            "state": state, "name": (plain(client), plain(key)),
            "options": options,
            **dict(zip(("next_chunk", "drafts", "refused", "last_seq", "done",
                        "ok"), map(int, numbers)))}

    def add_chunk(self, rest):
        uuid, n, digest, body, *numbers = rest.split()
        self.chunks[uuid, int(n)] = (digest, body, *map(int, numbers))

    def add_refusal(self, rest):
        uuid, index, line, *texts = rest.split()
        self.refusals[uuid, int(index)] = (int(line), *map(plain, texts))

    def add_draft(self, rest):
        uuid, index, request, seq, revision, status, line, *result = (
            rest.split())
        self.drafts[uuid][int(index)] = (
            int(request), int(seq), int(revision), status, line,
            result[0] if result else None)

    def add_request(self, rest):
        number, state, fence, status, reply = rest.split()
        self.requests[int(number)] = (state, int(fence), status, reply)

    def add_worker(self, rest):
        self.workers.add(rest)


class Batch:
    """What is known of a batch from outside."""

    def __init__(self, name):
        self.name = name
        self.states, self.told_at = set(), 0  # as of the last answer
        self.verbs = {}    # asked since, or not answered: question to verb
        self.chunks = {}   # confirmed: number to (digest, members)
        self.refusals = {} # confirmed: index to (field, code, message)
        self.results = {}  # told: index to (seq, status, digest)
        self.last_seq, self.done, self.ok = 0, 0, 0

    def possible(self):
        """The states that it may be in now."""
        states = set(self.states)
        while True:
            more = set(states)
            for verb in (None, *self.verbs.values()):
                for state in states:
                    more.update(MOVES.get(verb, {}).get(state, ()))
            if more == states:
                return states
            states = more


class Task:
    """What a client asked for one batch, and would ask again."""

    def __init__(self, head, options):
        self.head, self.options = head, options
        self.chunks, self.seal = {}, None
        self.is_over = False  # it was asked to be cancelled or removed


class Ledger:
    """What was asked and what was confirmed, up to a moment."""

    def __init__(self):
        self.now = 0          # counts what has come in and gone out
        self.life = 0         # counts starts of the broker
        self.questions = {}   # of clients: (stream, re) to what was asked
        self.opens = {}       # asked: (client, key) to digests of options
        self.tasks = {}       # what was asked, to be asked again
        self.asked = {}       # chunks asked: (batch, n) to {digest: lines}
        self.batches = {}     # confirmed
        self.workers = {}     # stream to uuid
        self.lent = {}        # uuid to slots that it was told to have
        self.fences = {}      # request to the newest one that was given out
        self.reports = {}     # (stream, request, fence) to what was reported
        self.replies = {}     # request to the digests of answers reported
        self.answered = set() # requests whose answer was confirmed
        self.ended = {}       # request to the newest fence whose report was
        self.drops = 0        # times that something was asked to be removed

    # ---- what is heard ----

    def heard(self, stream, head, body):
        self.now += 1
        stream = self.life, stream
        verb = head["verb"]
        if "re" in head:
            self.questions[stream, head["re"]] = (self.now, head, body)
        getattr(self, f"heard_{verb}", self.heard_other)(stream, head, body)
        batch = self.batches.get(head.get("batch"))
        if batch and verb in MOVES:
            batch.verbs[stream, head["re"]] = verb

    def heard_other(self, stream, head, body):
        pass

    def heard_open(self, _, head, body):
        name = head["client"], head["key"]
        self.opens.setdefault(name, set()).add(sha(body or b"{}"))
        self.tasks.setdefault(name, Task(head, body))

    def heard_chunk(self, _, head, body):
        lines = [sha(line) for line in body.split(b"\n")[:-1]]
        self.asked.setdefault((head["batch"], head["n"]), {})[sha(body)] = lines
        self.task(head).chunks[head["n"]] = body

    def heard_seal(self, _, head, __):
        self.task(head).seal = head

    def heard_purge(self, _, head, __):
        self.drops += 1
        self.task(head).is_over = True

    heard_abort = heard_cancel = heard_purge

    def task(self, head):
        return self.tasks[self.batches[head["batch"]].name]

    def heard_hello(self, stream, head, _):
        if "worker" in head:
            self.workers[stream] = head["worker"]

    def heard_slots(self, stream, head, _):
        if head["count"] == 0:
            self.lent.pop(self.workers[stream], None)

    def heard_bye(self, stream, *_):
        self.lent.pop(self.workers.get(stream), None)

    def heard_result(self, stream, head, body):
        self.reports[stream, head["request"], head["fence"]] = head["class"]
        if head["class"] == "ok":
            self.replies.setdefault(head["request"], set()).add(sha(body))

    def left(self, stream):
        self.now += 1
        self.lent.pop(self.workers.pop((self.life, stream), None), None)

    def restarted(self):
        """The broker was started again: its connections are gone."""
        self.workers, self.questions, self.lent = {}, {}, {}
        self.now += 1
        self.life += 1

    # ---- what is said ----

    def said(self, stream, head, body):
        self.now += 1
        stream = self.life, stream
        verb = head["verb"]
        asked_at, question, asked_body = self.questions.pop(
            (stream, head.get("re")), (0, {}, b""))
        uuid = question.get("batch")
        if verb == "opened" and head["batch"] not in self.batches:
            self.batches[head["batch"]] = Batch(
                (question["client"], question["key"]))
        if verb in ANSWERS:
            self.told_state(head.get("batch", uuid), head, asked_at)
        if uuid in self.batches:
            self.batches[uuid].verbs.pop((stream, head["re"]), None)
        getattr(self, f"said_{verb}", self.said_other)(
            stream, head, body, (question, asked_body))

    def said_other(self, *_):
        pass

    def told_state(self, uuid, head, asked_at):
        batch = self.batches[uuid]
        state = head["state"]
        states = {"abandoned", "gone"} if state == "empty" else {state}
        # Two answers may overtake each other; one that was asked for after the
        # other was given is surely the later one.
        if asked_at > batch.told_at:
            batch.states = states
            # What a broker that was killed did not answer, it did by now or
            # never.
            batch.verbs = {(stream, re): verb for (stream, re), verb
                           in batch.verbs.items() if stream[0] == self.life}
        else:
            batch.states |= states
        batch.told_at = self.now
        batch.last_seq = max(batch.last_seq, head.get("last_seq", 0))
        counts = head.get("counts", {})
        batch.done = max(batch.done, counts.get("done", 0))
        batch.ok = max(batch.ok, counts.get("ok", 0))

    def said_list(self, _, head, *__):
        for row in head["batches"]:
            batch = self.batches.get(row["batch"])
            if batch:
                batch.last_seq = max(batch.last_seq, row["last_seq"])
                batch.done = max(batch.done, row["counts"]["done"])
                batch.ok = max(batch.ok, row["counts"]["ok"])

    def said_stored(self, _, head, __, asked):
        batch = self.batches[head["batch"]]
        batch.chunks[head["n"]] = (sha(asked[1]), head)
        for refusal in head["refused"]:
            batch.refusals[refusal["index"]] = (
                refusal["field"], refusal["code"], refusal["message"])

    def said_aborted(self, _, head, *__):
        if head["batch"] in self.batches:
            self.batches[head["batch"]].states = {"abandoned", "gone"}

    def said_purged(self, _, head, *__):
        self.batches[head["batch"]].states = {"purged", "gone"}

    def said_results(self, _, __, body, ___):
        for line in body.splitlines(keepends=True):
            row = json.loads(line)
            batch = self.batches[row["batch"]]
            known = batch.results.get(row["index"], (0,))
            if row["seq"] >= known[0]:
                batch.results[row["index"]] = (row["seq"], row["status"],
                                               sha(line))

    said_export = said_results

    def said_lease(self, _, head, *__):
        request = head["request"]
        self.fences[request] = max(self.fences.get(request, 0), head["fence"])

    def said_slots(self, stream, head, *_):
        if head["count"] > 0:
            self.lent[self.workers[stream]] = head["count"]

    def said_confirmed(self, stream, head, *_):
        request, fence = head["request"], head["fence"]
        report = self.reports.get((stream, request, fence))
        if report is None:
            return
        self.ended[request] = max(self.ended.get(request, 0), fence)
        if report == "ok":
            self.answered.add(request)

    # ---- judging ----

    def judge(self, store):
        """What is wrong with a store now: a list of kinds and sentences."""
        if store.is_refused:
            return [("opening", store.faults[0])]
        wrong = [("fault", fault) for fault in store.faults]
        for uuid, batch in self.batches.items():
            wrong += self.judge_batch(store, uuid, batch)
        for uuid, row in store.batches.items():
            if row["options"] not in self.opens.get(row["name"], ()):
                wrong.append(("stranger", f"batch {uuid} was not asked for"))
            elif row["state"] not in DROPPED:
                wrong += self.judge_chunks(store, uuid, row)
        wrong += self.judge_requests(store)
        wrong += [("worker", f"worker {uuid} has slots and is forgotten")
                  for uuid in self.lent if uuid not in store.workers]
        return wrong

    def judge_batch(self, store, uuid, batch):
        possible = batch.possible()
        row = store.batches.get(uuid, {"state": "gone"})
        if row["state"] not in possible:
            return [("state", f"batch {uuid} {batch.name}: got {row['state']}, "
                     f"want {' or '.join(sorted(possible))}")]
        if row["state"] in DROPPED:
            return []
        wrong = [("count", f"batch {uuid}: {name}: got {row[name]}, was told "
                  f"{getattr(batch, name)}")
                 for name in ("last_seq", "done", "ok")
                 if row[name] < getattr(batch, name)]
        for n, (digest, head) in batch.chunks.items():
            chunk = store.chunks.get((uuid, n))
            if chunk is None or chunk[:2] != (digest, digest):
                wrong.append(("chunk", f"batch {uuid}: chunk {n} is not there "
                              "as it was confirmed"))
            elif chunk[4:] != (head["accepted"], head["joined"],
                               head["cached"], chunk[3] - head["accepted"]):
                wrong.append(("chunk", f"batch {uuid}: chunk {n} counts other "
                              "drafts than were confirmed"))
        for index, texts in batch.refusals.items():
            if store.refusals.get((uuid, index), (0,))[1:] != texts:
                wrong.append(("refusal", f"batch {uuid}: refusal of draft "
                              f"{index} is not as it was told"))
        return wrong + self.judge_results(store.drafts[uuid], uuid, batch)

    @staticmethod
    def judge_results(drafts, uuid, batch):
        wrong = []
        for index, (seq, status, digest) in batch.results.items():
            _, seq_now, _, status_now, _, digest_now = drafts.get(
                index, (0, 0, 0, "-", None, None))
            is_better = (seq_now > seq and status_now == "ok"
                         and status not in FINAL)
            if not is_better and (seq_now, digest_now) != (seq, digest):
                wrong.append(("result", f"batch {uuid}: draft {index}: got "
                              f"{seq_now} {status_now}, was told {seq} "
                              f"{status}"))
        return wrong

    def judge_chunks(self, store, uuid, row):
        """A chunk is there with all that belongs to it, or not at all."""
        wrong, index, accepted = [], 0, 0
        for n in range(1, row["next_chunk"]):
            digest, body, first, count, *counts = store.chunks.get(
                (uuid, n), ("", "", -1, 0, 0, 0, 0, 0))
            lines = self.asked.get((uuid, n), {}).get(body)
            if lines is None or digest != body or first != index:
                wrong.append(f"chunk {n} is not as it was sent")
                break
            there = 0
            for at, line in enumerate(lines):
                draft = store.drafts[uuid].get(index + at)
                there += draft is not None
                if draft is None and (uuid, index + at) not in store.refusals:
                    wrong.append(f"draft {index + at} is missing")
                elif draft is not None and draft[4] != line:
                    wrong.append(f"draft {index + at} has another text")
            if count != len(lines) or there != counts[0]:
                wrong.append(f"chunk {n} has {there} drafts")
            index += count
            accepted += there
        if (index, accepted) != (row["drafts"], len(store.drafts[uuid])):
            wrong.append("drafts beyond its chunks")
        return [("half", f"batch {uuid}: {sentence}") for sentence in wrong]

    def judge_requests(self, store):
        wrong = []
        for number, fence in self.fences.items():
            row = store.requests.get(number)
            if row is None:
                # Those of a batch that was removed go with it.
                if not self.drops:
                    wrong.append(("fence", f"request {number} is gone"))
                continue
            state, fence_now, status, reply = row
            if fence_now < fence:
                wrong.append(("fence", f"request {number}: got {fence_now}, "
                              f"lent with {fence}"))
            if state == "leased" and fence_now <= self.ended.get(number, 0):
                wrong.append(("report", f"request {number}: a report that was "
                              "confirmed is forgotten"))
            if number in self.answered and (
                    status != "ok" or reply not in self.replies[number]):
                wrong.append(("answer", f"request {number}: an answer that was "
                              "confirmed is not there"))
        return wrong
