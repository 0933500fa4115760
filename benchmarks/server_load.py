"""The reward server under load on loopback: is every accepted request answered once and rightly, and what does batching gain?

    python benchmarks/server_load.py --model runs/lab [--clients 64] [--seconds 120] [--alone 20]

Starts ``gramr2 serve`` on a free port. First one client asks one comparison at a time, then the clients ask at once: most of them
good requests of one to four comparisons, the others malformed, oversized, too slow, or gone before the answer. A good answer
must have the ids that were asked, in order, and a known label or null with a reason. At the end SIGTERM comes while clients still
ask: each must get an answer or a clear error, and the server must end by itself. Prints one JSON object; exit code 1 if a
promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gramr2.backends.hardware import versions
from gramr2.data import load_unlabeled

MAX_BYTES = 1 << 16
BAD = ("malformed", "oversized", "slow", "gone")
EXPECTED = {"malformed": {400, 422}, "oversized": {413}, "slow": {408}, "good": {200, 429, 503}}
"""statuses that a kind of request may get; a good one gets 429 when the queue is full and is sent again"""


@dataclass
class Seen:
    """What the clients saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    comparisons: int = 0
    answered: int = 0
    seconds: list[float] = field(default_factory=list)


async def good(
    http: httpx.AsyncClient, items: Iterator[dict[str, object]], count: int, seen: Seen, ending: bool = False
) -> int:
    """One good request; checks the answer and returns the status (0: no connection)."""
    asked = [next(items) for _ in range(count)]
    start = time.monotonic()
    try:
        answer = await http.post("/v1/judge", json={"comparisons": asked})
    except httpx.TransportError as error:
        name = type(error).__name__
        seen.statuses[f"good {name}"] += 1
        # A server that ends closes its door; while it runs, nobody may be left without an answer.
        if not ending or isinstance(error, httpx.ReadTimeout):
            seen.wrong.append(f"a good request got no answer: {name}")
        return 0
    seen.statuses[f"good {answer.status_code}"] += 1
    if answer.status_code == 200:
        found = answer.json()["decisions"]
        seen.seconds.append(time.monotonic() - start)
        seen.comparisons += count
        seen.answered += 1
        if [each["id"] for each in found] != [each["id"] for each in asked]:
            seen.wrong.append(f"asked {[e['id'] for e in asked]}, got {[e['id'] for e in found]}")
        for each in found:
            if each["label"] not in ("A", "B", "tie") and not (each["label"] is None and each["reason"]):
                seen.wrong.append(f"{each['id']}: label {each['label']!r}, reason {each['reason']!r}")
    elif answer.status_code not in EXPECTED["good"]:
        seen.wrong.append(f"a good request got {answer.status_code}: {answer.text[:200]}")
    elif answer.status_code == 429:
        if "retry-after" not in answer.headers:
            seen.wrong.append("429 without Retry-After")
        await asyncio.sleep(float(answer.headers.get("retry-after", 1)) * random.uniform(0.5, 1.0))
    return answer.status_code


async def bad(http: httpx.AsyncClient, kind: str, port: int, seen: Seen) -> None:
    """One request that must not be answered as if it were good."""
    if kind == "gone":
        with suppress(httpx.TransportError):
            await http.post("/v1/judge", json={"comparisons": [PAIR]}, timeout=0.05)
        seen.statuses["gone"] += 1
        await asyncio.sleep(1.0)
        return
    if kind == "slow":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /v1/judge HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"
        )
        line = await asyncio.wait_for(reader.readline(), 60)
        writer.close()
        status = int(line.split()[1]) if line else 0
    else:
        body = (
            b"x" * (2 * MAX_BYTES)
            if kind == "oversized"
            else random.choice([b"{", b"[]", b'{"comparisons": [{}]}', b"\xff"])
        )
        try:
            status = (
                await http.post("/v1/judge", content=body, headers={"content-type": "application/json"})
            ).status_code
        except httpx.TransportError:
            # A server may close before it has read what it refuses.
            status = 413 if kind == "oversized" else 0
        await asyncio.sleep(0.2)
    seen.statuses[f"{kind} {status}"] += 1
    if status not in EXPECTED[kind]:
        seen.wrong.append(f"a {kind} request got {status}")


PAIR = {"id": "p", "prompt": "What is 12+34?", "responses": ["46.", "It is 47."]}


def supply() -> Iterator[dict[str, object]]:
    """Comparisons without end, each with an id of its own."""
    pool = load_unlabeled("lab:unlabeled", limit=2000)[0]
    number = 0
    while True:
        each = pool[number % len(pool)]
        yield {"id": f"{each.id}-{number}", "prompt": each.prompt_text, "responses": list(each.responses)}
        number += 1


def resident(pid: int) -> int:
    """MiB that the process has in memory."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    return int(found[1]) // 1024 if found else 0


def after_each_fifth(values: list[int]) -> list[int]:
    """What was measured at the end of each fifth of the time: bounded memory levels out, a leak climbs evenly."""
    return [values[(len(values) - 1) * part // 5] for part in range(1, 6)]


async def load(
    url: str, port: int, server: subprocess.Popen[str], clients: int, seconds: float, alone: float
) -> dict[str, object]:
    """All phases; returns what was seen."""
    items, pid = supply(), server.pid
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=180, limits=limits) as http:
        while True:
            if server.poll() is not None:
                sys.exit("the server ended before it was ready")
            with suppress(httpx.TransportError):
                if (await http.get("/readyz")).status_code == 200:
                    break
            await asyncio.sleep(0.2)
        single = Seen()
        start = time.monotonic()
        while time.monotonic() - start < alone:
            await good(http, items, 1, single)
        one = single.comparisons / (time.monotonic() - start)

        seen, memory = Seen(), [resident(pid)]
        start, end = time.monotonic(), time.monotonic() + seconds

        async def client(number: int) -> None:
            kind = BAD[number // 8 % len(BAD)] if number % 8 == 0 else "good"
            while time.monotonic() < end:
                if kind == "good":
                    await good(http, items, random.randint(1, 4), seen)
                else:
                    await bad(http, kind, port, seen)

        async def watched() -> None:
            while time.monotonic() < end:
                memory.append(resident(pid))
                await asyncio.sleep(1)

        await asyncio.gather(watched(), *(client(number) for number in range(clients)))
        many = seen.comparisons / (time.monotonic() - start)
        metrics = (await http.get("/metrics")).text
        counted = re.search(r'gramr2_requests_total\{path="/v1/judge",status="200"\} (\S+)', metrics)

        killed = Seen()

        async def last(number: int) -> None:
            # Asks until the server is gone; a client that hangs breaks the promise.
            while await asyncio.wait_for(good(http, items, 2, killed, ending=True), 150) in (200, 429):
                pass

        tasks = [asyncio.create_task(last(number)) for number in range(16)]
        await asyncio.sleep(3)
        subprocess.run(["kill", f"-{signal.SIGTERM.value}", str(pid)], check=True)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    wrong = [*single.wrong, *seen.wrong, *killed.wrong]
    wrong += [f"when the server ended, a client met {each!r}" for each in outcomes if isinstance(each, BaseException)]
    # What the server answered and nobody took belongs to clients that had gone.
    answered, gone = single.answered + seen.answered, seen.statuses["gone"]
    if counted is None or not answered <= float(counted[1]) <= answered + gone:
        wrong.append(
            f"the server counts {counted and counted[1]} answers, the clients got {answered}, and {gone} had gone"
        )
    delays = sorted(seen.seconds)
    return {
        "clients": clients,
        "seconds": seconds,
        "alone_comparisons_per_s": round(one, 2),
        "load_comparisons_per_s": round(many, 2),
        "ratio": round(many / one, 2),
        "seconds_median": round(delays[len(delays) // 2], 2),
        "seconds_p95": round(delays[int(0.95 * len(delays))], 2),
        "statuses": dict(sorted(seen.statuses.items())),
        "statuses_at_the_end": dict(sorted(killed.statuses.items())),
        "memory_mib": {"first": memory[0], "largest": max(memory), "after_each_fifth": after_each_fifth(memory)},
        "wrong": wrong,
    }


def main() -> None:
    """Start the server, load it, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--alone", type=float, default=20)
    parser.add_argument("--queue", type=int, default=96)
    options = parser.parse_args()
    command = [sys.executable, "-m", "gramr2.cli.main", "serve", "-m", options.model, "--port", "0"]
    command += [
        "--max-bytes",
        str(MAX_BYTES),
        "--queue",
        str(options.queue),
        "--max-new-tokens",
        "160",
        "--requests",
        "256",
    ]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        lines = iter(server.stderr.readline, "")
        port = next(int(found[1]) for line in lines if (found := re.search(r"listening on http://\S+:(\d+)", line)))
        url = f"http://127.0.0.1:{port}"
        result = asyncio.run(load(url, port, server, options.clients, options.seconds, options.alone))
        code = server.wait(timeout=180)
    finally:
        if server.poll() is None:
            server.kill()
    result["exit_code"] = code
    print(json.dumps(result | {"versions": versions()}, indent=1))
    # uvicorn ends by the signal itself once everything is answered.
    sys.exit(1 if result["wrong"] or code not in (0, -signal.SIGTERM) else 0)


if __name__ == "__main__":
    main()
