# worker_stage.py - where cases of the worker play
#
# A case is a function case_* and one claim. It has directories, processes and
# an endpoint of its own; it fails with the first thing that is not as it should
# be, and shows the worker's log then. main() plays those of a file, or some by
# name; exit code 0 if all hold, else 1.
#
# SPDX-License-Identifier: MIT
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

from fake_broker import Broker, Failed, PATIENCE_S
from fake_server import Server


def check(claim, got, want):
    if got != want:
        raise Failed("%s: got %r, want %r" % (claim, got, want))


def check_that(claim, holds):
    if not holds:
        raise Failed(claim)


def chat(text, **members):
    return json.dumps({"model": "m", "messages": [
        {"role": "system", "content": "Summarize in one sentence"},
        {"role": "user", "content": text}], **members}).encode()


def echo_of(text):
    return "echo " + hashlib.sha256(text.encode()).hexdigest()[:16]


class Stage:
    """Where one case plays: its directory and its processes."""

    def __init__(self, bin_dir):
        self.bin = bin_dir
        self.dir = tempfile.mkdtemp()
        self.run = os.path.join(self.dir, "run")
        os.mkdir(self.run, 0o700)
        self.endpoint = "ipc://%s/workers" % self.dir
        self.processes = []
        self.brokers = []
        self.servers = []
        self.worker = None
        self.log = os.path.join(self.dir, "worker.log")
        self.calls_log = os.path.join(self.dir, "calls")

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for broker in self.brokers:
            broker.close()
        for server in self.servers:
            server.close()
        shutil.rmtree(self.dir)

    def await_true(self, claim, condition):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise Failed("not in time: %s" % claim)
            time.sleep(0.01)

    def start_upstream(self, script="", latency_ms=0):
        path = os.path.join(self.dir, "script")
        port = os.path.join(self.dir, "port")
        with open(path, "w") as file:
            file.write(script)
        self.processes.append(subprocess.Popen(
            [os.path.join(self.bin, "upstream"), "--port-file", port, "--log",
             self.calls_log, "--script", path, "--latency-ms",
             str(latency_ms)],
            stderr=open(os.path.join(self.dir, "upstream.log"), "w")))
        self.await_true("the upstream listens", lambda: os.path.exists(port))
        with open(port) as file:
            self.url = "http://127.0.0.1:" + file.read().strip()

    def start_server(self, answer, context=None):
        server = Server(answer, context)
        self.servers.append(server)
        return server

    def stats(self):
        with urllib.request.urlopen(self.url + "/stats") as reply:
            return json.load(reply)

    def calls(self, event):
        with open(self.calls_log) as file:
            events = [json.loads(line) for line in file]
        return [call for call in events if call["event"] == event]

    def start_broker(self, upstream=None, **welcome):
        self.upstream = {"name": "test", "base_url": "", "path": "/",
                         "connect_timeout_ms": 2000,
                         "request_timeout_ms": 20000,
                         "reply_bytes_max": 1048576}
        if hasattr(self, "url"):
            self.upstream["base_url"] = self.url
        self.upstream.update(upstream or {})
        welcome.setdefault("upstreams", [self.upstream])
        broker = Broker(self.endpoint, **welcome)
        self.brokers.append(broker)
        return broker

    def restart_broker(self, old, **welcome):
        self.brokers.remove(old)
        old.close()
        return self.start_broker(**{**old.welcome, "session": 2, **welcome})

    def start_worker(self, *options, conf="", env=None, pass_fds=()):
        path = os.path.join(self.dir, "sheaf.conf")
        with open(path, "w") as file:
            file.write(conf)
        self.worker = subprocess.Popen(
            [os.path.join(self.bin, "sheaf-worker"), "--broker", self.endpoint,
             "--config", path, *options],
            stderr=open(self.log, "w"), pass_fds=pass_fds,
            env={**os.environ, "XDG_RUNTIME_DIR": self.run, **(env or {})})
        self.processes.append(self.worker)

    def start_all(self, script="", latency_ms=0, **welcome):
        self.start_upstream(script, latency_ms)
        broker = self.start_broker(**welcome)
        self.start_worker()
        broker.wait_hello()
        return broker

    def read_log(self):
        with open(self.log) as file:
            return file.read()

    def wait_end(self, broker, code):
        if broker:
            broker.until("the worker ends",
                         lambda: self.worker.poll() is not None)
        else:
            self.await_true("the worker ends",
                            lambda: self.worker.poll() is not None)
        check("the worker's exit code", self.worker.returncode, code)

    def locks(self):
        return os.listdir(os.path.join(self.run, "sheaf"))


CANARY = "sk-canary-0123456789abcdef"


def keyed_conf(url, how):
    return ('[upstream "test"]\nbase_url = %s\n%s\n' % (url, how))


def play(bin_dir, name, case):
    stage = Stage(bin_dir)
    try:
        case(stage)
        return True
    except (Failed, OSError, KeyError, IndexError) as failed:
        print("FAIL %s\n  %s" % (name, failed))
        if not isinstance(failed, Failed):
            traceback.print_exc()
        if os.path.exists(stage.log):
            print(stage.read_log())
        return False
    finally:
        stage.close()


def main(names):
    """Plays the cases among the names of a module, or those that are chosen."""
    bin_dir, *chosen = sys.argv[1:]
    cases = [(name[len("case_"):], value) for name, value in names.items()
             if name.startswith("case_")]
    unknown = set(chosen) - {name for name, _ in cases}
    if unknown:
        sys.exit("no such case: " + ", ".join(sorted(unknown)))
    failures = [name for name, case in cases
                if (not chosen or name in chosen)
                and not play(bin_dir, name, case)]
    print("%d cases, %d failed" % (len(chosen or cases), len(failures)))
    sys.exit(1 if failures else 0)
