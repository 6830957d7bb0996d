"""Many at once, slow ones, broken ones, and the end: nothing is lost, and memory stays bounded."""

from __future__ import annotations

import dataclasses
import json
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from helpers.served import FILTER, Client, Long, listening, process, wait_for

from kgan.serve import running
from kgan.serve.app import Server
from kgan.serve.limits import Limits
from kgan.serve.models import Models, of_kgan
from kgan.serve.signatures import Arrays

PATH = f"/v1/filters/{FILTER}?crop=none"


def resident(child: subprocess.Popen[str]) -> int:
    """Megabytes of memory that a process has had at most."""
    text = Path(f"/proc/{child.pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", text)
    assert match
    return int(match[1]) // 1024


def connection(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def head(body: bytes, sent: int | None = None) -> bytes:
    """The head of a request with this body."""
    length = len(body) if sent is None else sent
    return f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode()


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_two_hundred_at_once_are_answered_or_refused_and_sigterm_drains(small_png: bytes) -> None:
    with process("--max_waiting=40", "--max_megabytes=3", "--room=30") as (child, address):
        assert requests.post(address + PATH, small_png, timeout=60).status_code == 200
        before = resident(child)
        large = bytes(2_900_000)

        def ask(number: int) -> int:
            if number % 4 == 3:  # uploads that are no pictures
                return requests.post(address + PATH, large, timeout=60).status_code
            if number % 4 == 2:
                body = json.dumps({"signature_name": "serving_bytes", "instances": [{"b64": "AAAA"}] * 8})
                return requests.post(f"{address}/v1/models/{FILTER}:predict", body, timeout=60).status_code
            return requests.post(address + PATH, small_png, timeout=60).status_code

        with ThreadPoolExecutor(200) as pool:
            statuses = Counter(pool.map(ask, range(200)))
        assert sum(statuses.values()) == 200 and statuses.keys() <= {200, 400, 415, 429, 503}, statuses
        assert statuses[200] >= 20
        assert resident(child) < before + 250

        # It is told to stop while a body is on its way: that request is answered, and no other is taken.
        with connection(address) as slow:
            slow.sendall(head(small_png) + small_png[:100])
            time.sleep(0.2)
            child.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            with pytest.raises(requests.ConnectionError):
                requests.get(f"{address}/healthz", timeout=5)
            slow.sendall(small_png[100:])
            assert slow.recv(1000).startswith(b"HTTP/1.1 200 OK")
        assert child.wait(20) == 0


@contextmanager
def served(**limits: float) -> Iterator[str]:
    models = Models(of_kgan, lazy=True)
    models.refresh()
    with listening(Server(models, Limits(**limits))) as address:  # type: ignore[arg-type]
        yield address
    models.close()


def test_slow_clients_are_let_go_and_hold_up_nobody(monkeypatch: pytest.MonkeyPatch, small_png: bytes) -> None:
    monkeypatch.setattr(running, "PATIENCE", 0.5)
    with served(seconds=1.5) as address:
        client = Client(address)
        client.post(PATH, small_png)  # it is loaded
        start = time.monotonic()
        with connection(address) as no_head, connection(address) as no_body, connection(address) as no_second:
            no_head.sendall(b"POST / HT")
            no_second.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b""
            while not answer.endswith(b'{"status":"ok"}'):
                answer += no_second.recv(10_000)
            no_second.sendall(b"GET /he")
            no_body.sendall(head(small_png) + small_png[:50])
            assert client.post(PATH, small_png).status_code == 200
            assert no_head.recv(100) == no_second.recv(100) == b""
            assert no_body.recv(1000).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - start < 10


def test_bodies_that_break_off_or_lie_about_their_length(small_png: bytes) -> None:
    with served() as address:
        for request in (
            head(small_png) + small_png[:50],
            head(small_png, sent=2**62),
            head(small_png)[:-20],
            b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01",
            b"GET " + b"a" * 100_000,
        ):
            with connection(address) as broken:
                broken.sendall(request)
        assert Client(address).post(PATH, small_png).status_code == 200


def test_the_room_for_bodies_is_given_back(small_png: bytes) -> None:
    with served(megabytes=1, room=1.5) as address:
        client = Client(address)
        with connection(address) as holding:
            body = bytes(900_000)
            holding.sendall(head(body) + body[:-1])
            time.sleep(0.3)
            refused = client.post(PATH, body)
            assert refused.status_code == 503 and refused.headers["retry-after"] == "1"
            assert client.post(PATH, small_png).status_code == 200
        time.sleep(0.3)
        assert client.post(PATH, bytes(900_000)).status_code == 415


def test_other_sites_may_ask_where_they_are_named(small_png: bytes) -> None:
    models = Models(of_kgan, lazy=True)
    models.refresh()
    site = {"Origin": "https://example.org"}
    with listening(Server(models, origins=["https://example.org"])) as address:
        client = Client(address)
        assert client.get("/healthz", headers=site).headers["access-control-allow-origin"] == "https://example.org"
        other = client.get("/healthz", headers={"Origin": "https://example.com"})
        assert "access-control-allow-origin" not in other.headers
    models.close()


@pytest.mark.parametrize("path", [PATH, f"/v1/models/{FILTER}:predict"])
def test_pages_of_other_sites_make_the_server_draw_nothing(path: str) -> None:
    models = Models(of_kgan, lazy=True)
    models.refresh()
    with listening(Server(models, origins=["https://example.org"])) as address:

        def status(**headers: str) -> int:
            return Client(address).post(path, b"", headers=headers).status_code

        ours = status(**{"Sec-Fetch-Site": "same-origin"})
        assert ours == status() != 403
        assert status(Origin=address) == ours  # over http no browser names the site, but all name the origin
        assert status(Origin="https://example.org") == ours
        assert status(Origin="http://example.com") == status(Origin="null") == 403
        for site in ("cross-site", "same-site"):
            assert status(**{"Sec-Fetch-Site": site, "Origin": "https://example.com"}) == 403
            assert status(**{"Sec-Fetch-Site": site}) == 403
            assert status(**{"Sec-Fetch-Site": site, "Origin": "https://example.org"}) == ours
    models.close()


def test_a_picture_that_takes_longer_than_it_may_is_given_up(small_png: bytes) -> None:
    models = Models(of_kgan, lazy=True)
    models.refresh()
    server = Server(models, Limits(seconds=0.3))
    gate = threading.Event()
    with listening(server) as address, models.lease(FILTER) as version:
        assert version.picture_filter
        call = version.signatures["serving_default"].call

        def slow(inputs: Arrays) -> Arrays:
            gate.wait(10)
            return call(inputs)

        version.signatures["serving_default"] = dataclasses.replace(version.signatures["serving_default"], call=slow)
        late = Client(address).post(PATH, small_png)
        assert late.status_code == 504 and late.json() == {"error": "Timed out after 0.3 seconds"}
        gate.set()
        for _ in range(server.turns._initial_value):  # others are at work, who came before
            server.turns.acquire()
        assert Client(address).post(PATH, small_png).status_code == 504
    models.close()


def test_what_a_client_has_left_is_left(small_png: bytes) -> None:
    models = Models(of_kgan, lazy=True)
    models.refresh()
    server = Server(models)
    long = Long()
    with listening(server) as address, models.lease(FILTER) as version:
        version.signatures["serving_default"] = dataclasses.replace(version.signatures["serving_default"], call=long)
        with connection(address) as leaving:
            leaving.sendall(head(small_png) + small_png)
            assert long.begun.wait(5) and not long.left.wait(0.5)
        assert long.left.wait(3)
        for _ in range(server.turns._initial_value):  # others are at work, who came before
            assert server.turns.acquire(timeout=3)
        with connection(address) as leaving:
            leaving.sendall(head(small_png) + small_png)
            wait_for(lambda: server._inside == 1)
        wait_for(lambda: server._inside == 0)
    models.close()


def test_mistakes_of_the_command_line_are_sentences(tmp_path: Path) -> None:
    def said(*options: str) -> str:
        command = [sys.executable, "-m", "kgan", "serve", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2, done.stderr
        return done.stderr.strip()

    missing = tmp_path / "nope"
    assert said(f"--models={missing}").startswith(f"kgan: There is no folder {missing}: --models names")
    with running.listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert said(f"--port={port}") == (
            f"kgan: 127.0.0.1:{port} cannot be listened at: Address already in use. --port=0 takes a free one."
        )


def test_the_benchmark_measures_what_it_says() -> None:
    from benchmarks import serve

    assert serve.bare(0.05) > 1
    with served() as address:
        for kind in ("upload", "rows"):
            times: queue.Queue[list[float]] = queue.Queue()
            serve.load(kind, address.removeprefix("http://"), 2, 0.2, times)
            assert all(0 < each < 30 for each in times.get())
