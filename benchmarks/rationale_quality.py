"""How good a judge's rationales are on people's text, where no program checks them.

    python benchmarks/rationale_quality.py --judge RUN --data FILE --out DIR [--n 200] [--reader smollm2-135m]

Judges n comparisons of a labelled file after a rationale, in both orders, and reports shares over these votes with 95 %
intervals: which rationales end, state their verdict, quote what is there (``gramr2.evaluation.rationales``), and from which,
with the conclusion taken out, a reader names the judge's verdict and the true label (``gramr2.evaluation.readers``). The
reader is a bag of words learnt from other prompts' rationales; ``--reader`` adds a frozen model.

DIR gets rationale_quality.json, sample.md for a person to read, and the journal with which the same command resumes. It
holds other people's text: git is told to leave it alone. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gramr2.backends.hardware import versions
from gramr2.backends.journaled import JournaledBackend
from gramr2.cli.console import Bars
from gramr2.data import load_labeled
from gramr2.data.split import subset
from gramr2.evaluation.rationales import Reasoned, measure, reasoned_votes
from gramr2.evaluation.readers import TARGETS, Reader, frozen, read_back, words
from gramr2.files import write_json, write_text
from gramr2.journal import Journal
from gramr2.judging.budget import overlong
from gramr2.judging.judge import Judge
from gramr2.loading import JudgeOptions, generative_judge
from gramr2.randomness import derive_seed


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", required=True, help="a run, a judge's folder, or another model")
    parser.add_argument("--data", required=True, help="labelled comparisons, held out")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=200, help="comparisons, drawn by the seed")
    parser.add_argument("--votes", type=int, default=1, help="in each order; one is greedy")
    parser.add_argument("--max-new-tokens", type=int, default=256, help="the rationale's budget")
    parser.add_argument("--no-close", action="store_true", help="read no verdict of a rationale that was cut")
    parser.add_argument("--reader", help="a model that reads labels back, besides the bag of words")
    parser.add_argument("--sample", type=int, default=20, help="rationales for a person to read")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    how = JudgeOptions(
        votes=given.votes, max_new_tokens=given.max_new_tokens, close=not given.no_close, verdict="reasoned"
    )
    judge = generative_judge(given.judge, how)
    items, _ = load_labeled(given.data)
    drawn = subset(items, given.n, given.seed, key=lambda item: item.comparison.id)
    asked = [(item.comparison, "") for item in drawn]
    long = {each.id for each in overlong(judge.backend, judge.template, asked, new_tokens=given.max_new_tokens)}
    drawn = tuple(item for item in drawn if item.comparison.id not in long)
    write_text(given.out / ".gitignore", "*\n")
    with Journal(given.out / "journal.jsonl") as journal, Bars(False).task(f"judge {len(drawn)}") as progress:
        comparisons = [item.comparison for item in drawn]
        kept = Judge(JournaledBackend(judge.backend, journal), judge.template, judge.sampling)
        decisions = kept.judge(comparisons, seed=given.seed, progress=progress)
    votes = reasoned_votes(drawn, decisions, given.max_new_tokens)
    write_text(given.out / "sample.md", sample(votes, given.sample, given.seed))
    readers: dict[str, Reader] = {"bag-of-words": words}
    if given.reader:
        model = generative_judge(given.reader, JudgeOptions(max_new_tokens=1, close=True, mode="reason"))
        readers[given.reader] = frozen(model.backend, model.template)
    told = {
        "judge": judge.id,
        "data": Path(given.data).name,
        "comparisons": len(drawn),
        "overlong": len(long),
        "votes": len(votes),
        "failed": sum(len(decision.judgments) for decision in decisions) - len(votes),
        "shares": {name: asdict(each) for name, each in measure(votes).items()},
        "read_back": {name: named(votes, reader) for name, reader in readers.items()},
        "settings": vars(given) | {"out": str(given.out)},
        "with": versions(),
    }
    write_json(given.out / "rationale_quality.json", told)
    print(json.dumps(told, ensure_ascii=False))


def named(votes: Sequence[Reasoned], reader: Reader) -> dict[str, dict[str, Any] | None]:
    """What a reader names of the judge's verdicts, and of the truths."""
    found = {name: read_back(votes, reader, target) for name, target in TARGETS.items()}
    return {name: asdict(each) if each else None for name, each in found.items()}


def sample(votes: Sequence[Reasoned], count: int, seed: int) -> str:
    """Rationales drawn by the seed as Markdown, everything in the order that the judge saw."""
    keyed = sorted(range(len(votes)), key=lambda i: derive_seed(seed, "sample", votes[i].comparison.id, i))
    parts = [f"# {min(count, len(votes))} of {len(votes)} rationales\n"]
    for number, index in enumerate(sorted(keyed[:count]), 1):
        vote = votes[index]
        first, second = vote.comparison.responses
        verdict = vote.verdict.value if vote.verdict else "none"
        texts = {
            "Prompt": vote.comparison.prompt_text,
            "Response A": first,
            "Response B": second,
            "Rationale": vote.rationale,
        }
        cut = "" if vote.ended else " · cut by its budget"
        parts.append(
            f"## {number} · {vote.comparison.id}\n\nverdict **{verdict}** · truth **{vote.truth.value}**{cut}\n"
        )
        parts += [f"**{name}**\n\n{fenced(text)}\n" for name, text in texts.items()]
    return "\n".join(parts)


def fenced(text: str) -> str:
    """A text in a fence that nothing in it can close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


if __name__ == "__main__":
    main()
