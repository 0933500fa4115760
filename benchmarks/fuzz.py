"""Hostile inputs: is each accepted, or refused in one sentence, and never a traceback or a hang?

    python benchmarks/fuzz.py [--inputs 100000] [--seed 1] [--only rows,files] [--limit 10] [--out docs/fuzz.csv]

Importers (rows of every format, files of every kind), run files, the parser of verdicts, GGUF headers, and the server by its own
OpenAPI document (needs schemathesis: pip install '.[dev]'). A process of its own works on each kind and is killed when an input
takes longer than the limit, or ends by itself. Prints counts, and each failure with the number that makes it again (--at N with
one kind in --only). Exit code 1 if there is a failure.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

import fuzz_inputs as inputs

ACCEPTED, REFUSED, TRACEBACK, HANG = "accepted", "refused", "traceback", "hang"
MEMORY = 12 << 30
"""bytes that a process may address; what asks for more has a traceback"""
SHARES = {"rows": 0.5, "files": 0.1, "configs": 0.08, "completions": 0.3, "gguf": 0.01, "server": 0.01}
"""shares of the inputs; those that load a library for each input, or draw by a schema, are slower"""
Try = Callable[[Random], str]
"""tries one input: returns what became of it, or raises"""


@dataclass
class Found:
    """What became of the inputs of a kind."""

    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)
    """the first input of each failure, by its last line"""


def refusal(error: Exception) -> str:
    """Whether an error is a refusal in one sentence; raises it again if it is not."""
    from gramr2.errors import GramrError

    told = str(error)
    if not isinstance(error, GramrError):
        raise error
    if not told or "\n" in told or len(told) > 2000:
        raise AssertionError(f"no sentence: {type(error).__name__} of {len(told)} characters: {told[:80]!r}")
    told.encode("utf-8", "surrogatepass")
    return REFUSED


def asked(work: Callable[[], object]) -> str:
    """Do the work."""
    from gramr2.errors import GramrError

    try:
        work()
    except GramrError as error:
        return refusal(error)
    return ACCEPTED


def rows(folder: Path) -> Try:
    """A row of any format, under any layout."""
    from pydantic import ValidationError

    from gramr2.config.data import Layout
    from gramr2.data import read_row

    def one(rng: Random) -> str:
        found = inputs.row(rng)
        try:
            layout = Layout.model_validate(inputs.layout(rng))
        except ValidationError:
            return REFUSED
        row = found if isinstance(found, dict) else {"prompt": found}
        return asked(lambda: read_row(row, "row", default_id="row", layout=layout))

    return one


def files(folder: Path) -> Try:
    """A data file of any kind."""
    from gramr2.data import OnBadRow, load, load_responses, load_sets

    def one(rng: Random) -> str:
        reader: Any = rng.choice([load, load, load, load_sets, load_responses])
        policy = rng.choice([*OnBadRow])
        file = inputs.data_file(rng, folder)
        return asked(lambda: reader(str(file), on_bad_row=policy))

    return one


def configs(folder: Path) -> Try:
    """A run file."""
    from gramr2.config import dump_config, load_config

    file = folder / "run.yaml"

    def one(rng: Random) -> str:
        file.write_bytes(inputs.config(rng))
        return asked(lambda: dump_config(load_config(file)).encode())

    return one


def completions(folder: Path) -> Try:
    """What a judge wrote: an outcome without a label is a refusal."""
    from gramr2.judging.parser import parse

    def one(rng: Random) -> str:
        parsed = parse(inputs.completion(rng), truncated=rng.random() < 0.5)
        return ACCEPTED if parsed.format and parsed.outcome.name in ("A", "B", "TIE") else REFUSED

    return one


def gguf(folder: Path) -> Try:
    """A GGUF file; one in many is still a model."""
    import shutil

    from gramr2.backends.gguf_import import convert

    base, file, into = _gguf(folder), folder / "m.gguf", folder / "into"
    # The libraries are loaded, so that the first input does not wait for them; and the undamaged file is a model.
    convert(folder / "base.gguf", into)

    def one(rng: Random) -> str:
        file.write_bytes(inputs.gguf_file(base, rng))
        shutil.rmtree(into, ignore_errors=True)
        return asked(lambda: convert(file, into))

    return one


def _gguf(folder: Path) -> bytes:
    from gguf import GGUFWriter

    file = folder / "base.gguf"
    writer = GGUFWriter(str(file), "llama")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_rope_dimension_count(8)
    writer.add_vocab_size(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["<s>", "a", "b", "ab"])
    writer.add_token_types([3, 1, 1, 1])
    writer.add_token_merges(["a b"])
    writer.add_chat_template("{{ messages }}")
    import numpy as np

    shapes = {
        "token_embd": (4, 32),
        "output": (4, 32),
        "output_norm": (32,),
        "blk.0.attn_norm": (32,),
        "blk.0.ffn_norm": (32,),
    }
    shapes |= {f"blk.0.attn_{each}": (32, 32) for each in ("q", "k", "v", "output")}
    shapes |= {"blk.0.ffn_gate": (64, 32), "blk.0.ffn_up": (64, 32), "blk.0.ffn_down": (32, 64)}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", np.full(shape, 0.01, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file.read_bytes()


KINDS: dict[str, Callable[[Path], Try]] = {
    "rows": rows,
    "files": files,
    "configs": configs,
    "completions": completions,
    "gguf": gguf,
}


def work(kind: str, seed: int, start: int, end: int, out: Connection) -> None:
    """The inputs of a kind, one after the other; says which it begins, and what became of it."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    os.dup2(quiet, 1)
    with tempfile.TemporaryDirectory() as folder:
        if kind == "server":
            from fuzz_server import requests

            for fate in requests(seed, end - start):
                out.send(fate)
            out.send(None)
            return
        one = KINDS[kind](Path(folder))
        for number in range(start, end):
            out.send(number)
            begun = time.monotonic()
            fate = tried(one, Random(f"{seed} {kind} {number}"))
            out.send((*fate, time.monotonic() - begun))
    out.send(None)


def tried(one: Try, rng: Random) -> tuple[str, str]:
    """What became of an input, and the end of its traceback if it has one."""
    try:
        return one(rng), ""
    except Exception as error:  # noqa: BLE001 - a traceback of any type is what is looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = next((f for f in reversed(traceback.extract_tb(error.__traceback__)) if "/gramr2/" in f.filename), last)
        where = f"{Path(place.filename).name}:{place.lineno} ({Path(last.filename).name}:{last.lineno})"
        return TRACEBACK, f"{type(error).__name__} at {where}: {str(error)[:150]!r}"


def fuzz(kind: str, seed: int, end: int, limit: float) -> Found:
    """Try the inputs of a kind in processes that may be killed."""
    found, start = Found(), 0
    context = multiprocessing.get_context("spawn")
    while start < end:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(kind, seed, start, end, theirs), daemon=True)
        process.start()
        theirs.close()
        start = _follow(ours, found, start, end, limit)
        process.kill()
        process.join()
    return found


def _follow(inbox: Connection, found: Found, start: int, end: int, limit: float) -> int:
    """Count what a process says until it ends or hangs; returns the next input to try."""
    number = None
    while True:
        # The first input comes when the libraries are loaded.
        if not inbox.poll(limit if number is not None else 300):
            number = start if number is None else number
            _count(found, HANG, f"no end after {limit:g} s", number, limit)
            return number + 1
        try:
            said = inbox.recv()
        except EOFError:
            number = start if number is None else number
            _count(found, TRACEBACK, "the process ended", number, 0.0)
            return number + 1
        if said is None:
            return end
        if isinstance(said, int):
            number = said
        else:
            fate, why, seconds = said
            _count(found, fate, why, number or 0, seconds)


def _count(found: Found, fate: str, why: str, number: int, seconds: float) -> None:
    found.counts[fate] += 1
    found.slowest = max(found.slowest, seconds)
    if why:
        found.failures.setdefault(why, f"{fate} of input {number}: {why}")


def shares(total: int, only: list[str]) -> Iterator[tuple[str, int]]:
    """How many inputs each kind gets; together the total, or less if only some are wanted."""
    rest = total
    for kind, share in SHARES.items():
        count = rest if kind == list(SHARES)[-1] else round(total * share)
        rest -= count
        if not only or kind in only:
            yield kind, count


def main(arguments: list[str] | None = None) -> int:
    """Try them all; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--limit", type=float, default=10)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--at", type=int, help="try this one input here, and show its traceback")
    options = parser.parse_args(arguments)
    only = options.only.split(",") if options.only else []
    if options.at is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(KINDS[only[0]](Path(folder))(Random(f"{options.seed} {only[0]} {options.at}")))
        return 0
    table = []
    failed = False
    for kind, count in shares(options.inputs, only):
        found = fuzz(kind, options.seed, count, options.limit)
        fates = [found.counts[each] for each in (ACCEPTED, REFUSED, TRACEBACK, HANG)]
        table.append([kind, sum(fates), *fates, f"{found.slowest:.2f}"])
        print(*table[-1], flush=True)
        for failure in found.failures.values():
            failed = True
            print(f"  {failure}", flush=True)
    if options.out:
        with options.out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["kind", "inputs", ACCEPTED, REFUSED, TRACEBACK, HANG, "slowest_s"])
            writer.writerows(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
