"""The judge's server beside vLLM's on the same weights: chat completions with several choices, asked by the same client.

    python benchmarks/servers.py --data FILE --python PYTHON_WITH_VLLM [--model smollm2-135m] [--comparisons 32] [--alone 4]
        [--votes 8] [--new-tokens 48] [--clients 16] [--repeats 3] [--json FILE]

A comparison is two requests, one for each order, with the judge's prompt, ``n`` votes and a budget for the rationale. First one
client asks for --alone comparisons, one request at a time, then --clients ask for the others at once. The servers take turns;
each is started anew for every repeat, and loading is not timed. Both compute in fp32. Ours writes the closing and the verdict
beyond the budget; vLLM's answer ends with it, and has no verdict where the rationale used it up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
from judging_peers import SLOW, started, version_of_vllm

from gramr2.backends.hardware import versions
from gramr2.backends.registry import resolve
from gramr2.data import load_labeled
from gramr2.data.split import subset
from gramr2.judging.judge import Orders
from gramr2.judging.template import JudgeMode, JudgeTemplate

OURS, PEER, ANY = "gramr2", "vllm", "judge"
EVERY_CORE = {"VLLM_CPU_NUM_OF_RESERVED_CPU": "0"}
"""vLLM keeps a core for its other processes, which on two leaves it one; for the same reason it gets no process for its worker"""


@dataclass
class Server:
    """What one server did, by repeat."""

    alone: list[float] = field(default_factory=list)
    """seconds per comparison for one client that waits for each answer"""
    together: list[float] = field(default_factory=list)
    """seconds per comparison for all clients at once"""
    tokens: float = 0.0
    """written per comparison, in the last repeat"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="labelled comparisons")
    parser.add_argument("--python", required=True, help="a Python that has vLLM")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--comparisons", type=int, default=32)
    parser.add_argument("--alone", type=int, default=4)
    parser.add_argument("--votes", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, dest="path")
    options = parser.parse_args(arguments)
    if min(options.comparisons, options.alone, options.votes, options.clients, options.repeats) < 1:
        parser.error("every number must be 1 at least")
    many = options.alone + options.comparisons
    labeled = subset(load_labeled(options.data)[0], many, options.seed, key=lambda each: each.comparison.id)
    if len(labeled) < many:
        parser.error(f"{options.data} has {len(labeled)} comparisons: {many} are needed")
    template, folder = JudgeTemplate(JudgeMode.REASON), resolve(options.model)
    prompts = [
        [asdict(turn) for turn in template.render(each.comparison.shown(order))]
        for each in labeled
        for order in Orders.BOTH.shown
    ]
    context = str(max(len(json.dumps(each)) for each in prompts) // 2 + options.new_tokens)
    how = {
        OURS: f"--dtype float32 --mode reason --verdict reasoned --max-new-tokens {options.new_tokens} "
        f"--requests {options.clients} --deadline {SLOW:.0f}",
        PEER: f"--dtype float32 --enforce-eager --max-model-len {context} --generation-config vllm "
        f"--kv-cache-memory-bytes {4 << 30} --served-model-name {ANY} --distributed-executor-backend uni",
    }
    commands = {
        OURS: [sys.executable, "-m", "gramr2.cli.main", "serve", "-m", str(folder), *how[OURS].split()],
        PEER: [options.python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder), *how[PEER].split()],
    }
    servers, peers_version = {name: Server() for name in commands}, version_of_vllm(options.python)
    for repeat in range(options.repeats):
        for name, command in commands.items():
            with started(command, "v1/models", EVERY_CORE) as url:
                asked = [body(name, prompt, options, repeat) for prompt in prompts]
                tokens = asyncio.run(timed(url, asked, options, servers[name]))
            servers[name].tokens = tokens / options.comparisons
            print(f"{name}, repeat {repeat}: {servers[name]}", file=sys.stderr, flush=True)
    ours, peer = servers[OURS], servers[PEER]
    report = {
        "comparisons": options.comparisons,
        "alone": options.alone,
        "votes": options.votes,
        "new_tokens": options.new_tokens,
        "clients": options.clients,
        "seed": options.seed,
        "servers": {name: asdict(each) | {"gain": ratio(each.alone, each.together)} for name, each in servers.items()},
        "vllm to ours, alone": ratio(peer.alone, ours.alone),
        "vllm to ours, together": ratio(peer.together, ours.together),
        "median": round(statistics.median(ratio(peer.together, ours.together)), 2),
        "load_average": os.getloadavg(),
        "versions": f"{versions()}, {peers_version}",
    }
    text = json.dumps(report, indent=1)
    print(text)
    if options.path:
        options.path.write_text(text + "\n", encoding="utf-8")


def ratio(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """How many times as fast, repeat by repeat."""
    return [round(a / b, 2) for a, b in zip(slow, fast, strict=True)]


def body(server: str, messages: list[dict[str, Any]], options: argparse.Namespace, repeat: int) -> dict[str, Any]:
    """A chat completion with the judge's own sampling."""
    # vLLM on a CPU ends when a request has a seed.
    own = {"model": OURS, "seed": options.seed + repeat} if server == OURS else {"model": ANY}
    how = {"n": options.votes, "max_tokens": options.new_tokens, "temperature": 0.75}
    return own | {"messages": messages} | how


async def timed(url: str, bodies: Sequence[dict[str, Any]], options: argparse.Namespace, into: Server) -> int:
    """One client, then all; the tokens written for all."""
    each = len(bodies) // (options.alone + options.comparisons)
    first, rest = bodies[: each * options.alone], bodies[each * options.alone :]
    async with httpx.AsyncClient(base_url=url, timeout=SLOW) as http:
        start = time.perf_counter()
        for one in first:
            await ask(http, one)
        into.alone.append((time.perf_counter() - start) / max(1, options.alone))
        waiting = iter(rest)

        async def client() -> int:
            return sum([await ask(http, one) for one in waiting])

        start = time.perf_counter()
        tokens = sum(await asyncio.gather(*(client() for _ in range(options.clients))))
        into.together.append((time.perf_counter() - start) / options.comparisons)
    return tokens


async def ask(http: httpx.AsyncClient, body: dict[str, Any]) -> int:
    """Tokens that a server wrote; all choices must be there."""
    answer = await http.post("/v1/chat/completions", json=body)
    if not answer.is_success:
        raise SystemExit(f"{answer.status_code}: {answer.text[:500]}")
    found = answer.json()
    if len(found["choices"]) != body["n"]:
        raise SystemExit(f"{len(found['choices'])} choices for {body['n']}")
    return int(found["usage"]["completion_tokens"])


if __name__ == "__main__":
    main()
