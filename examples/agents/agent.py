#!/usr/bin/env python3
"""An agent in Python, with nothing but its standard library: writes a draft, and takes it back.

    python3 agent.py http://127.0.0.1:8420 DIRECTORY
"""
import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request

BASE = (sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8420") + "/api/v1"
DIRECTORY = sys.argv[2] if len(sys.argv) > 2 else "."
NAME = "drafter-" + str(os.getpid())


class Refused(Exception):
    """The server's answer, with its code."""

    def __init__(self, code, detail):
        super().__init__(detail)
        self.code = code


def call(method, path, body=None):
    request = urllib.request.Request(BASE + path, method=method)
    if os.environ.get("VAPORA_TOKEN"):
        request.add_header("Authorization", "Bearer " + os.environ["VAPORA_TOKEN"])
    data = None
    if body is not None:
        request.add_header("Content-Type", "application/json")
        data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, data, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        problem = json.loads(error.read() or b"{}")
        raise Refused(problem.get("code", ""), problem.get("detail", "")) from None


class Session:
    """The registration with the server; made anew where the server has forgotten it."""

    def __init__(self):
        self.id = None

    def open(self, holding=()):
        """Says what is still being worked on, and answers which leases of it go on."""
        held = [{"task_id": task["task_id"], "lease": task["lease"]} for task in holding]
        answer = call("POST", "/agents", {"name": NAME, "roles": ["drafter"], "holding": held})
        self.id = answer["session"]
        return answer["kept"]

    def poll(self):
        return call("POST", "/agents/" + self.id + "/poll", {"free": 1, "wait": 2})["tasks"]

    def close(self):
        if self.id is not None:
            call("DELETE", "/agents/" + self.id)


SESSION = Session()


class Lease(threading.Thread):
    """Extends the lease of one task while it is worked on; `lost` once it must be stopped."""

    def __init__(self, task):
        super().__init__(daemon=True)
        self.task = task
        self.path = "/tasks/" + task["lease"]
        self.seconds = task["lease_seconds"]
        self.until = time.monotonic() + self.seconds
        self.lost = False
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(self.seconds / 4) and not self.lost:
            asked = time.monotonic()
            try:
                if call("POST", self.path + "/heartbeat")["stop"]:
                    self.lost = True
                else:
                    self.until = asked + self.seconds
            except Refused as refused:
                self.lost = refused.code == "lease_lost" or (refused.code == "agent_unknown" and not self.claim())
            except OSError:
                pass
            # without an answer the lease ends by itself, and another agent may begin
            self.lost = self.lost or time.monotonic() >= self.until

    def claim(self):
        """The server was restarted: tells it that the task is still being worked on."""
        try:
            return self.task["lease"] in SESSION.open([self.task])
        except (Refused, OSError):
            return True  # asked again with the next heartbeat

    def say(self, word, body):
        """Until it is on the server's disk, the server refuses it, or the lease is over."""
        while True:
            try:
                return call("POST", self.path + word, body)
            except (OSError, Refused) as error:
                if getattr(error, "code", "") in ("lease_lost", "agent_protocol", "input_invalid"):
                    raise
                if self.lost:
                    raise
                time.sleep(0.5)


def draft(task, lease):
    """Once per idempotency key: the file is named after it."""
    path = os.path.join(DIRECTORY, task["idempotency_key"].replace("/", "_") + ".draft")
    seconds = task["input"].get("seconds", 0)
    for part in range(10):
        if lease.lost:
            return None
        time.sleep(seconds / 10)
        lease.say("/progress", {"message": "drafting", "fraction": part / 10})
    lease.say("/steps", {"name": "named", "value": path})
    with open(path, "w", encoding="utf-8") as file:
        file.write("Release " + str(task["input"]["version"]))
    content = "Release " + str(task["input"]["version"])
    return {"artifacts": [{"name": "draft", "kind": "documentation", "content": content}], "output": {"path": path}}


def take_back(task):
    """What is gone already is gone: an earlier attempt may have got this far."""
    key = task["idempotency_key"].replace("/compensate", "/execute").replace("/", "_")
    try:
        os.remove(os.path.join(DIRECTORY, key + ".draft"))
    except FileNotFoundError:
        pass
    return {}


def work(task):
    lease = Lease(task)
    lease.start()
    try:
        result = take_back(task) if task["type"] == "compensation" else draft(task, lease)
        if result is not None:
            lease.say("/complete", result)
        else:
            lease.say("/fail", {"message": "it was stopped"})
    except Refused as refused:
        print("the result was refused:", refused, flush=True)
    except Exception as error:  # whatever it is, the engine should hear of it
        lease.say("/fail", {"message": str(error)})
    finally:
        lease.done.set()


def main():
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    while not ending.is_set():
        try:
            if SESSION.id is None:
                SESSION.open()
                print("drafter is there", flush=True)
            for task in SESSION.poll():
                work(task)
        except Refused as refused:
            if refused.code in ("unauthorized", "unauthenticated", "input_invalid"):
                sys.exit("refused: " + str(refused))
            if refused.code == "agent_unknown":
                SESSION.id = None
            else:
                time.sleep(1)
        except OSError:
            time.sleep(1)
    try:
        SESSION.close()
    except (Refused, OSError):
        pass


main()
