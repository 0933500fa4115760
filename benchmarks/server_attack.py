"""The reward server under attack on loopback: are good requests answered as soon, and do memory and log stay small?

    python benchmarks/server_attack.py [--model lab-tiny] [--minutes 10] [--attackers 64] [--seed 1]

Starts ``gramr2 serve`` on a free port. Good clients ask one comparison at a time, alone, then beside attackers in a process of
their own, then alone again. Attacks are connections that say nothing, headers and bodies that come byte by byte, bodies and
headers that are too large or as large as is allowed, requests whose sender has gone or never reads the answer, and bytes that
are no HTTP, no JSON or no request. Prints one JSON object. Exit code 1 if a good request failed, the server ended, or
``--most-ratio`` (3) was passed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from gramr2.backends.hardware import versions

GOOD = 4
"""good clients"""
SETTLE = 7.0
"""seconds to wait for the server, which gives memory back when it has been idle for five"""
PAUSE = 0.2
"""seconds that a good client waits before it asks again, so that they leave the server room"""
HEAD = "POST {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n"
PAIR = {"id": "p", "prompt": "What is 12+34?", "responses": ["46.", "It is 47."]}
PATHS = ("/v1/judge", "/v1/rank", "/v1/score", "/get_reward")
Port = int


@dataclass
class Seen:
    """What good clients saw."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def at(self, share: float) -> float | None:
        """A percentile of the times to an answer, in seconds."""
        ordered = sorted(self.seconds)
        return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 4) if ordered else None


async def good(url: str, end: float, seen: Seen, number: int) -> None:
    """Ask one comparison at a time, on one connection, until the end."""
    rng, asked = random.Random(number), 0
    async with httpx.AsyncClient(base_url=url, timeout=120) as http:
        while time.monotonic() < end:
            asked += 1
            pair = {**PAIR, "id": f"{number}-{asked}", "prompt": f"What is {rng.randint(1, 99)}+{rng.randint(1, 99)}?"}
            start = time.monotonic()
            try:
                answer = await http.post("/v1/judge", json={"comparisons": [pair], "seed": asked})
            except httpx.TransportError as error:
                seen.statuses[type(error).__name__] += 1
                seen.wrong.append(f"a good request got no answer: {type(error).__name__}")
                continue
            seen.statuses[str(answer.status_code)] += 1
            if answer.status_code == 200:
                seen.seconds.append(time.monotonic() - start)
                (decision,) = answer.json()["decisions"]
                if decision["id"] != pair["id"] or decision["label"] not in ("A", "B", "tie", None):
                    seen.wrong.append(f"asked {pair['id']}, got {decision['id']}: {decision['label']!r}")
            else:
                seen.wrong.append(f"a good request got {answer.status_code}: {answer.text[:120]}")
            await asyncio.sleep(PAUSE)


async def _connected(port: Port, talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
    reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 30)
    try:
        await talk(reader, writer)
    finally:
        writer.transport.abort()


async def idle(port: Port, rng: random.Random) -> None:
    """A connection that says nothing, or nothing more."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(rng.choice([b"", b"GET", b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"]))
        await asyncio.wait_for(reader.read(), rng.uniform(1, 40))

    await asyncio.gather(*(_connected(port, talk) for _ in range(8)), return_exceptions=True)


async def slow(port: Port, rng: random.Random) -> None:
    """Headers or a body, byte by byte."""
    head = HEAD.format("/v1/judge", 5000)
    text = (head[:60] if rng.random() < 0.5 else head).encode() + b'{"comparisons": [' + b" " * 500

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text[:50])
        for place in range(50, len(text)):
            writer.write(text[place : place + 1])
            await writer.drain()
            await asyncio.sleep(0.1)

    await _connected(port, talk)


async def large(port: Port, rng: random.Random) -> None:
    """Bodies, texts, lists and headers that are too large, at the limit and far above it."""
    long = "x" * rng.choice([100_000, 1_000_000, 4_100_000])
    bodies: list[Any] = [
        {"comparisons": [{"prompt": long, "responses": ["a", "b"]}]},
        {"comparisons": [{"prompt": "q" * 9000, "responses": ["a", "b"]}] * 256},
        {"comparisons": [PAIR] * 100_000},
        {"prompt": "q", "responses": [long] * 64},
        {"items": [{"prompt": "q", "response": "a", "references": ["b"] * 64}] * 256},
        {"query": [long], "prompts": ["q"]},
        {"comparisons": [PAIR], long: 1},
    ]
    body = rng.choice(
        [json.dumps(rng.choice(bodies)), "[" * 1_000_000, '{"a":' * 500_000, f'{{"seed": {"9" * 100_000}}}']
    )
    data = body.encode()[: rng.choice([5_000_000, 64_000_000])]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if rng.random() < 0.1:
            writer.write(b"GET / HTTP/1.1\r\n" + b"".join(b"h%d: %s\r\n" % (i, b"x" * 1000) for i in range(300)))
        else:
            writer.write(HEAD.format(rng.choice(PATHS), len(data)).encode())
            writer.write(data)
            await asyncio.wait_for(writer.drain(), 30)
        await asyncio.wait_for(reader.read(4096), 30)

    await _connected(port, talk)


async def gone(port: Port, rng: random.Random) -> None:
    """A request whose sender has gone before the answer, or never reads it."""
    body = json.dumps({"comparisons": [PAIR] * rng.choice([1, 4])}).encode()
    whole = HEAD.format("/v1/judge", len(body)).encode() + body
    seen = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if rng.random() < 0.7:
            writer.write(whole)
            await asyncio.sleep(rng.uniform(0, 0.1))
        else:
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            for _ in range(200):
                writer.write(seen)
            await asyncio.sleep(rng.uniform(1, 35))

    await _connected(port, talk)


async def malformed(port: Port, rng: random.Random) -> None:
    """Bytes that are no HTTP, no JSON, or no request."""
    bodies = [
        b"{",
        b"[]",
        b"\xff",
        b"null",
        b'{"comparisons": [{}]}',
        b'{"comparisons": NaN}',
        b'"\\ud800"',
        b"\x00" * 99,
    ]
    bodies += [
        b'{"comparisons": [{"prompt": "\\ud800", "responses": ["a", "b"]}]}',
        b'{"seed": 1e999, "comparisons": []}',
    ]
    body = rng.choice(bodies)
    heads = [
        HEAD.format(rng.choice(PATHS), len(body)),
        HEAD.format("/v1/judge", -5),
        HEAD.format("/v1/judge", "9" * 40),
        HEAD.format("/%00\ud7ff".encode("utf-8", "replace").decode("latin-1"), 1),
        HEAD.format("/v1/judge", len(body)).replace("content-length", "transfer-encoding: chunked\r\nx"),
        "\x16\x03\x01\x02\x00\x01\x00",
        "GET /metrics HTTP/9.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        HEAD.format("/v1/judge", len(body)).replace("localhost", "attacker.example"),
        HEAD.format("/nowhere", len(body)).replace("POST", "BREW"),
    ]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(rng.choice(heads).encode("latin-1", "replace") + body)
        await asyncio.wait_for(reader.read(4096), 15)

    await _connected(port, talk)


KINDS = (idle, slow, large, gone, malformed)


def attack(port: Port, seconds: float, attackers: int, seed: int, pipe: Any) -> None:
    """Attack until the end; sends how many requests of each kind were made."""
    # asyncio tells of each byte that a server no longer takes.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    made: Counter[str] = Counter()
    end = time.monotonic() + seconds

    async def one(number: int) -> None:
        rng = random.Random(f"{seed} {number}")
        kind = KINDS[number % len(KINDS)]
        while time.monotonic() < end:
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                await asyncio.wait_for(kind(port, rng), max(0.1, end - time.monotonic()))
            made[kind.__name__] += 1
            await asyncio.sleep(rng.uniform(0.1, 0.5))

    async def all_of_them() -> None:
        await asyncio.gather(*(one(number) for number in range(attackers)))

    asyncio.run(all_of_them())
    pipe.send(dict(made))


def resident(pid: int) -> int:
    """MiB that the process has in memory."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    return int(found[1]) // 1024 if found else 0


async def phase(url: str, pid: int, seconds: float) -> tuple[Seen, list[int]]:
    """Good clients for a time: what they saw, and the server's memory second by second."""
    seen, memory, end = Seen(), [], time.monotonic() + seconds

    async def watched() -> None:
        while time.monotonic() < end:
            memory.append(resident(pid))
            await asyncio.sleep(1)

    await asyncio.gather(watched(), *(good(url, end, seen, number) for number in range(GOOD)))
    return seen, memory


def until_ready(server: subprocess.Popen[bytes], log: Path) -> str:
    """The server's address, once it has its model."""
    while server.poll() is None:
        found = re.search(r"listening on (http://\S+)", log.read_text(encoding="utf-8", errors="replace"))
        with suppress(httpx.TransportError):
            if found and httpx.get(f"{found[1]}/readyz").status_code == 200:
                return found[1]
        time.sleep(0.2)
    raise SystemExit(f"the server ended before it was ready: {log.read_text(encoding='utf-8')[-300:]}")


def measure(
    model: str, seconds: float, attackers: int, seed: int, flags: list[str], settle: float = SETTLE
) -> dict[str, Any]:
    """Both phases, against a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-m", "gramr2.cli.main", "serve", "-m", model, "--port", "0", *flags]
        with log.open("wb") as file:
            server = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            return _phases(server, log, seconds, attackers, seed, settle)
        finally:
            if server.poll() is None:
                server.kill()


def _phases(
    server: subprocess.Popen[bytes], log: Path, seconds: float, attackers: int, seed: int, settle: float
) -> dict[str, Any]:
    url = until_ready(server, log)
    calm = max(3.0, min(60.0, seconds / 5))
    before, _ = asyncio.run(phase(url, server.pid, calm))
    start = resident(server.pid)
    ours, theirs = multiprocessing.get_context("spawn").Pipe(duplex=False)
    arguments = (int(url.rpartition(":")[2]), seconds, attackers, seed, theirs)
    enemy = multiprocessing.get_context("spawn").Process(target=attack, args=arguments)
    enemy.start()
    under, memory = asyncio.run(phase(url, server.pid, seconds))
    made = ours.recv() if ours.poll(60) else {}
    enemy.join(5)
    after, _ = asyncio.run(phase(url, server.pid, calm))
    time.sleep(settle)
    alive, last = server.poll() is None, resident(server.pid) if server.poll() is None else 0
    size = log.stat().st_size
    server.send_signal(signal.SIGTERM)
    code = server.wait(timeout=180)
    text = log.read_text(encoding="utf-8", errors="replace")
    # Before and after: where the two differ much, something else was at work on the machine, and the ratio says little.
    both = Seen([*before.seconds, *after.seconds])
    quiet, busy = (both.at(0.5), both.at(0.95)), (under.at(0.5), under.at(0.95))
    wrong = [*before.wrong, *under.wrong, *after.wrong]
    return {
        "attack_seconds": seconds,
        "attackers": attackers,
        "attacks": made,
        "quiet": {"answered": len(both.seconds), "p50_s": quiet[0], "p95_s": quiet[1]},
        "quiet_before": {"p50_s": before.at(0.5), "p95_s": before.at(0.95)},
        "quiet_after": {"p50_s": after.at(0.5), "p95_s": after.at(0.95)},
        "load_average": [round(each, 1) for each in os.getloadavg()],
        "attacked": {
            "answered": len(under.seconds),
            "p50_s": busy[0],
            "p95_s": busy[1],
            "statuses": dict(under.statuses),
        },
        "ratio": {
            name: round(b / a, 2) if a and b else None for name, a, b in zip(("p50", "p95"), quiet, busy, strict=True)
        },
        "memory_mib": {"before": start, "largest": max([start, *memory, last]), "after": last},
        "log_bytes": size,
        "tracebacks_in_log": text.count("Traceback"),
        "alive": alive,
        "exit_code": code,
        "failed": wrong[:10],
        "failures": len(wrong),
    }


def main() -> int:
    """Attack, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lab-tiny")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--attackers", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most-ratio", type=float, default=3)
    parser.add_argument("--verdict", default="direct")
    options = parser.parse_args()
    flags = ["--verdict", options.verdict]
    found = measure(options.model, 60 * options.minutes, options.attackers, options.seed, flags)
    print(json.dumps(found | {"cpus": os.cpu_count(), "versions": versions()}, indent=1))
    slow_down = max(each or 0 for each in found["ratio"].values())
    return int(not found["alive"] or found["failures"] > 0 or slow_down > options.most_ratio)


if __name__ == "__main__":
    sys.exit(main())
