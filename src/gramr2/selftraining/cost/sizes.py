"""How much text a run has: the number of its comparisons, and the token lengths of their prompts, answers and responses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.config import RunConfig
from gramr2.data import subset
from gramr2.judging.proving import ProvingTemplate
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.selftraining.run.data import RunData
from gramr2.training.texts import texts_of
from gramr2.written import own

SAMPLE = 256
"""comparisons of a part whose tokens are counted; of a larger part so many are drawn"""
PARTS = ("seed", "held_out", "pool", "gold", "proving", "final")
Encode = Callable[[tuple[Message, ...], str], Sequence[object]]
"""The tokens of a prompt, if there is one, followed by the start of its answer."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Token lengths of texts of one kind: their mean and mean square, the tokens that all begin with, and their number."""

    mean: float
    square: float
    shared: int = 0
    n: int = 0

    @classmethod
    def of(cls, texts: Sequence[Sequence[object]]) -> Lengths:
        """Of token sequences; none have length 0."""
        sizes = [len(text) for text in texts] or [0]
        return cls(fmean(sizes), fmean(size * size for size in sizes), _common(texts), len(texts))

    def longer(self, tokens: float, *, shared: bool = True) -> Lengths:
        """These lengths with as many tokens more in each."""
        square = self.square + 2 * tokens * self.mean + tokens * tokens
        return Lengths(self.mean + tokens, square, self.shared if shared else 0, self.n)


NOTHING = Lengths(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a plan is made from.

    Args:
        counts: comparisons of each of ``PARTS``.
        bare: seed comparisons without a rationale.
        prompts: lengths by part and form: ``direct``, ``reasoned`` and ``proof``, each with the given start of its answer, and
            ``text``, a prompt with one response.
        given: tokens of the given start of an answer, by form; they are in ``prompts``.
        label: tokens of a direct answer, with its end.
        frame: tokens of a reasoned answer beside its rationale.
        bridge: tokens that guided decoding writes after a rationale.
        rationale: mean tokens of the seed's rationales; None if it has none.
        texts: distinct texts of the pool for a warm-up, with their lengths.
        bytes: mean bytes of a comparison's texts, by part.
    """

    counts: dict[str, int]
    bare: int
    prompts: dict[tuple[str, str], Lengths]
    given: Mapping[str, float]
    label: float
    frame: float
    bridge: float
    rationale: float | None = None
    texts: tuple[int, Lengths] = (0, NOTHING)
    bytes: dict[str, float] = field(default_factory=dict)

    def count(self, part: str) -> int:
        """Comparisons of a part."""
        return self.counts.get(part, 0)

    def of(self, part: str, form: str) -> Lengths:
        """Lengths of a part's prompts in a form."""
        return self.prompts.get((part, form), NOTHING)


def sizes_of(config: RunConfig, data: RunData, encode: Encode) -> Sizes:
    """Count a run's comparisons, and the tokens of at most ``SAMPLE`` of each part."""
    template = JudgeTemplate(JudgeMode(config.judge.mode), tuple(config.judge.principles))
    direct, reasoned = (replace(template, mode=mode) for mode in (JudgeMode.LABEL, JudgeMode.REASON))
    forms: dict[str, JudgeTemplate | ProvingTemplate] = {
        "direct": direct,
        "reasoned": reasoned,
        "proof": ProvingTemplate(template.principles),
    }
    prompts: dict[tuple[str, str], Lengths] = {}
    sizes: dict[str, float] = {}
    for part in PARTS:
        items: Sequence[Comparison] = [_bare(item) for item in getattr(data, part)]
        drawn = subset(items, SAMPLE, config.seed) if len(items) > SAMPLE else items
        if not drawn:
            continue
        for name, form in forms.items():
            prompts[part, name] = Lengths.of([encode(form.render(each), form.prefill) for each in drawn])
        texts = [(each.prompt, response) for each in drawn for response in each.responses]
        prompts[part, "text"] = Lengths.of([[*encode(prompt, ""), *encode((), text), 0] for prompt, text in texts])
        sizes[part] = fmean(len("".join((each.prompt_text, *each.responses)).encode()) for each in drawn)
    given = {name: len(encode((), form.prefill)) for name, form in forms.items()}
    label = sum(len(encode((), piece)) for piece in direct.answer(Label.A, None)) + 1
    reading = template.verdict_reading()
    frame = sum(len(encode((), piece)) for piece in (reasoned.prefill, *reasoned.answer(Label.A, "")[2:])) + 1
    reasons = [item.rationale for item in data.seed if item.rationale]
    counted = subset(reasons, SAMPLE, config.seed, key=str) if len(reasons) > SAMPLE else reasons
    return Sizes(
        counts={part: len(getattr(data, part)) for part in PARTS},
        bare=sum(item.rationale is None for item in data.seed),
        prompts=prompts,
        given=given,
        label=label,
        frame=frame,
        bridge=len(encode((), own(f"\n{reading.close}{reading.bridge}"))),
        rationale=fmean(len(encode((), text)) for text in counted) if counted else None,
        texts=_texts(config, data, encode),
        bytes=sizes,
    )


def _texts(config: RunConfig, data: RunData, encode: Encode) -> tuple[int, Lengths]:
    settings = config.warmup
    if settings is None:
        return 0, NOTHING
    seed = config.seed if settings.seed is None else settings.seed
    pool = data.pool if settings.limit is None else subset(data.pool, settings.limit, seed)
    texts = texts_of(pool, settings.form, seed)
    step = max(1, len(texts) // SAMPLE)
    counted = [[*encode(text.prompt, ""), *encode((), text.answer), 0] for text in texts[::step]]
    return len(texts), Lengths.of(counted)


def _bare(item: Comparison | LabeledComparison) -> Comparison:
    return item if isinstance(item, Comparison) else item.comparison


def _common(texts: Sequence[Sequence[object]]) -> int:
    """Number of tokens that all texts begin with; each keeps at least one of its own."""
    if len(texts) < 2:
        return 0
    limit, first = min(map(len, texts)) - 1, texts[0]
    return next((i for i in range(limit) if any(text[i] != first[i] for text in texts)), max(limit, 0))


def pieces(messages: tuple[Message, ...], start: str = "") -> Sequence[object]:
    """Stands in for the tokens of a model whose tokenizer is on its server: four characters each."""
    text = "\n".join([*(turn.content for turn in messages), start])
    return [text[at : at + 4] for at in range(0, len(text), 4)]
