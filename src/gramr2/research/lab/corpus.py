"""The pretraining text of the tiny model: text of the domain that never says which of two responses is better.

All documents are about problems that no comparison of the lab uses. The kinds are: problems with their worked solutions;
answers graded one by one in the steps of a rationale; comparisons in the judge's own layout, followed by the solution and a
neutral restatement of both answers; copying; and verdicts that repeat a conclusion drawn at random. None concludes anything
from two grades: that is what the labelled comparisons teach. Without the restatements and the second grade, a judge
fine-tuned on few comparisons solves the problem and then miscopies or misgrades the answers. Without the verdicts it
contradicts its own conclusion half of the time if both responses are wrong.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gramr2.comparison import Label, Message
from gramr2.judging.template import CONCLUSIONS, HEADERS, JudgeTemplate, sections_of
from gramr2.research.lab.comparisons import Part, comparison, problems, responses
from gramr2.research.lab.problems import Family, Problem, worked
from gramr2.research.lab.rationales import NONE, PHRASINGS, RIGHT, SIDES, answer_in, check, listed
from gramr2.written import own

WEIGHTS = (0.65, 0.35)
"""weights of sums and sorting; carries take longer to learn"""
Kinds = Mapping[str, float]
"""kinds of documents with their shares"""
KINDS: Kinds = {"solution": 0.1, "check": 0.35, "marking": 0.3, "restatement": 0.17, "copy": 0.08}
LAST_KINDS: Kinds = {"solution": 0.1, "check": 0.2, "marking": 0.2, "restatement": 0.1, "verdict": 0.4}
NAMES = "ABCD"
ALONE = 0.3
"""share of the checks that grade a single answer on its own"""


@dataclass(frozen=True, slots=True)
class Document:
    """A user's message, and the answer in pieces whose ends are token boundaries; ``given`` pieces are shown but not learnt."""

    messages: tuple[Message, ...]
    answer: tuple[str, ...]
    given: tuple[str, ...] = ()


def documents(seed: int, kinds: Kinds = KINDS) -> Iterator[Document]:
    """An endless stream of documents, the same for the same seed and kinds."""
    rng = random.Random(seed)
    template = JudgeTemplate()
    for family, problem in problems(Part.PRETRAINING, rng, WEIGHTS):
        kind = rng.choices(list(kinds), list(kinds.values()))[0]
        if kind == "solution":
            yield Document((Message("user", family.ask(problem)),), (worked(family, problem),))
        elif kind == "check":
            yield _check(family, problem, rng, template)
        elif kind == "marking":
            yield _marking(family, problem, rng, template)
        elif kind == "restatement":
            yield _restatement(family, problem, rng, template)
        elif kind == "copy":
            yield _copy(rng)
        else:
            yield _verdict(family, problem, rng, template)


def _check(family: Family, problem: Problem, rng: random.Random, template: JudgeTemplate) -> Document:
    """Answers graded one by one: a single answer on its own, or one or both of a comparison's."""
    each = comparison("", family, problem, responses(family, problem, rng))
    shown = template.render(each)
    sides = rng.sample(SIDES, rng.choice((1, 2)))
    if rng.random() < ALONE:
        del sides[1:]
        response = each.responses[SIDES.index(sides[0])]
        named = ((HEADERS[0], family.ask(problem)), (f"[Response {sides[0]}]", response))
        shown = (Message("user", sections_of(named)),)
    answers = dict(zip(SIDES, map(answer_in, each.responses), strict=True))
    lines = [check(side, answers[side] or "", family.solve(problem)) for side in sides]
    said = "\n".join([f" {worked(family, problem)}", *lines])
    return Document(shown, (template.prefill, said, own("\n</think>")))


def _marking(family: Family, problem: Problem, rng: random.Random, template: JudgeTemplate) -> Document:
    """One, three or four graded answers, the right ones listed and counted; never two, because pairs are for the judge."""
    names = rng.sample(NAMES, rng.choice((1, 3, 4)))
    truth = family.solve(problem)
    answers = [truth if rng.random() < 0.5 else family.slip(rng, problem) for _ in names]
    shown = [
        (f"[Response {name}]", rng.choice(PHRASINGS).format(answer))
        for name, answer in zip(names, answers, strict=True)
    ]
    text = sections_of([(HEADERS[0], family.ask(problem)), *shown])
    checks = [check(name, answer, truth) for name, answer in zip(names, answers, strict=True)]
    count = f"{sum(answer == truth for answer in answers)} of {len(names)}."
    said = "\n".join([f" {worked(family, problem)}", *checks, listed(checks), count])
    return Document((Message("user", text),), (template.prefill, said, own("\n</think>")))


def _copy(rng: random.Random) -> Document:
    """Digits, and the sentences and labels of verdicts in random order, to copy: a token never seen before is slow to learn."""
    said = ["".join(rng.choices("0123456789", k=rng.randint(1, 6))) for _ in range(3)]
    words = rng.choices([*CONCLUSIONS.values(), *(label.value for label in Label), *said], k=rng.randint(1, 6))
    text = "\n".join(words)
    return Document((Message("user", f"Copy {text}."),), (f"{text}.",))


def _verdict(family: Family, problem: Problem, rng: random.Random, template: JudgeTemplate) -> Document:
    """A verdict that repeats the conclusion before it; the conclusion is drawn at random and itself not learnt."""
    each = comparison("", family, problem, responses(family, problem, rng))
    answers = dict(zip(SIDES, map(answer_in, each.responses), strict=True))
    truth, label = family.solve(problem), rng.choice(list(Label))
    lines = [check(side, answers[side] or "", truth) for side in rng.sample(SIDES, rng.randint(0, 2))]
    lists = [f"{RIGHT}{rng.choice(('Response A', 'Response B', 'Response A, Response B', NONE))}."][: rng.randint(0, 1)]
    text = "\n".join([worked(family, problem), *lines, *lists, CONCLUSIONS[label]])
    *given, close, verdict, end = template.answer(label, text)
    return Document(template.render(each), (close, verdict, end), tuple(given))


def _restatement(family: Family, problem: Problem, rng: random.Random, template: JudgeTemplate) -> Document:
    each = comparison("", family, problem, responses(family, problem, rng))
    answers = dict(zip(SIDES, map(answer_in, each.responses), strict=True))
    lines = [f"Response {side} says {answers[side]}." for side in rng.sample(SIDES, 2)]
    said = "\n".join([f" {worked(family, problem)}", *lines])
    return Document(template.render(each), (template.prefill, said, own("\n</think>")))
