"""What the tiny model is pretrained on: text of the domain that never says which of two responses is better.

Four kinds of documents, all about problems that no comparison of the lab uses: problems with their worked solutions, single
answers checked in the steps that a rationale has, comparisons in the judge's own layout followed by the solution and a
neutral restatement of both answers, and copying. Without the restatements a judge fine-tuned on few comparisons works the
problem out and then miscopies the answers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from gramr2.comparison import Message
from gramr2.judging.template import HEADERS, JudgeTemplate
from gramr2.lab.comparisons import Part, comparison, problems, responses
from gramr2.lab.problems import Family, Problem, worked
from gramr2.lab.rationales import SIDES, answer_in, check

Document = tuple[tuple[Message, ...], tuple[str, ...]]
"""a user's message, and the answer in pieces whose ends are token boundaries"""
WEIGHTS = (0.65, 0.35)
"""of sums and sorting: carries take longer to learn"""
KINDS = {"solution": 0.2, "check": 0.5, "restatement": 0.25, "copy": 0.05}


def documents(seed: int) -> Iterator[Document]:
    """Documents without end, the same for the same seed."""
    rng = random.Random(seed)
    template = JudgeTemplate()
    for family, problem in problems(Part.PRETRAINING, rng, WEIGHTS):
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        if kind == "solution":
            yield (Message("user", family.ask(problem)),), (worked(family, problem),)
        elif kind == "check":
            yield _check(family, problem, rng, template)
        elif kind == "restatement":
            yield _restatement(family, problem, rng, template)
        else:
            digits = "".join(rng.choices("0123456789", k=rng.randint(1, 6)))
            yield (Message("user", f"Copy {digits}."),), (f"{digits}.",)


def _check(family: Family, problem: Problem, rng: random.Random, template: JudgeTemplate) -> Document:
    """One answer graded; it stands alone, or beside another one that nothing is said of."""
    side = rng.choice(SIDES)
    each = comparison("", family, problem, responses(family, problem, rng))
    response = each.responses[SIDES.index(side)]
    alone = f"{HEADERS[0]}\n{family.ask(problem)}\n[Response {side}]\n{response}\n{HEADERS[-1]}"
    shown = (Message("user", alone),) if rng.random() < 0.5 else template.render(each)
    answer = answer_in(response) or ""
    said = f" {worked(family, problem)}\nResponse {side} says {answer}: {check(answer, family.solve(problem))}"
    return shown, (template.prefill, said, "\n</think>")


def _restatement(family: Family, problem: Problem, rng: random.Random, template: JudgeTemplate) -> Document:
    each = comparison("", family, problem, responses(family, problem, rng))
    answers = dict(zip(SIDES, map(answer_in, each.responses), strict=True))
    lines = [f"Response {side} says {answers[side]}." for side in rng.sample(SIDES, 2)]
    said = "\n".join([f" {worked(family, problem)}", *lines])
    return template.render(each), (template.prefill, said, "\n</think>")
