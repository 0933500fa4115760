"""A careless policy to train with rewards: the tiny model after imitating worked solutions, half of which end in a slip.

It works a problem out, “347+586: 7+6=13, 4+8+1=13, 3+5+1=9, so 933.”, and answers on the next line in one of the lab's
phrasings. Judges and reward models see only that last line, as they would see an answer whose reasoning is hidden.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers import set_seed

from gramr2.backends.base import Backend, Decoding, GenerationRequest
from gramr2.backends.hardware import keep_freed_memory
from gramr2.backends.pretrained import open_causal, open_tokenizer
from gramr2.backends.registry import SHIPPED, resolve
from gramr2.comparison import Message
from gramr2.randomness import derive_seed
from gramr2.research.lab.comparisons import Part, problems
from gramr2.research.lab.corpus import WEIGHTS, Document
from gramr2.research.lab.pretrain import train
from gramr2.research.lab.problems import RESULT, SEPARATOR, Family, Problem
from gramr2.research.lab.rationales import FAMILIES, PHRASINGS, answer_in

CARELESS = 0.5
"""share of the imitated solutions that end in a slip"""
STEPS = 60
LEARNING_RATE = 5e-4
NEW_TOKENS = 64
"""the longest of 5,000 imitated solutions (seed 0) has 62 tokens, including its end"""


def imitated(seed: int) -> Iterator[Document]:
    """An endless stream of solutions to imitate, for problems that no comparison of the lab uses."""
    rng = random.Random(seed)
    for family, problem in problems(Part.PRETRAINING, rng, WEIGHTS):
        answer = family.slip(rng, problem) if rng.random() < CARELESS else family.solve(problem)
        yield Document((Message("user", family.ask(problem)),), (_written(family, problem, answer, rng),))


def _written(family: Family, problem: Problem, answer: str, rng: random.Random) -> str:
    head, *steps, _ = family.steps(problem)
    return f"{head}: {SEPARATOR.join([*steps, f'{RESULT}{answer}'])}.\n{rng.choice(PHRASINGS).format(answer)}"


def make_policy(into: Path, *, steps: int = STEPS, seed: int = 0) -> None:
    """Train the careless policy and write it as a transformers folder."""
    set_seed(seed)
    keep_freed_memory()
    start = resolve(SHIPPED)
    tokenizer = open_tokenizer(start)
    model = open_causal(start, dtype=torch.float32)
    train(model, tokenizer, imitated(seed), steps, LEARNING_RATE, seed, into)
    tokenizer.save_pretrained(into)


def asked(part: Part, count: int, seed: int) -> list[str]:
    """``count`` different prompts of a part."""
    found: dict[str, None] = {}
    for family, problem in problems(part, random.Random(seed)):
        found[family.ask(problem)] = None
        if len(found) == count:
            break
    return list(found)


def final_answer(completion: str) -> str:
    """The part of a completion that is shown: its last line."""
    return completion.strip().rpartition("\n")[2]


def is_right(prompt: str, completion: str) -> bool:
    """Whether a completion's last line states the true answer, in one of the lab's phrasings."""
    for family in FAMILIES:
        problem = family.read(prompt)
        if problem is not None:
            return answer_in(final_answer(completion)) == family.solve(problem)
    raise ValueError(f"{prompt!r} is not a problem of the lab")


def sample(policy: Backend, prompts: Sequence[str], *, temperature: float, seed: int) -> list[str]:
    """One completion for each prompt."""
    requests = [
        GenerationRequest(
            (Message("user", prompt),),
            (derive_seed(seed, "policy", prompt),),
            Decoding(temperature=temperature, max_new_tokens=NEW_TOKENS),
        )
        for prompt in prompts
    ]
    found = dict(policy.generate(requests))
    return [found[index][0].text for index in range(len(prompts))]
