"""The stages of a run, in the order of ``gramr2.selftraining.loop``, from its config and the sizes of its data.

How many comparisons a round keeps and how long rationales become is not known before the run; ``Assumptions`` states it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gramr2.config import RunConfig
from gramr2.config.judge import EvaluationSampling
from gramr2.config.training import TrainingConfig
from gramr2.evaluation.calibration import MIN_ITEMS
from gramr2.selftraining.cost.parts import Assumptions, Parts
from gramr2.selftraining.cost.sizes import Lengths, Sizes
from gramr2.selftraining.cost.stages import Asked, Kind, Learnt, Stage

READINGS_ASKED, SPREAD_ASKED = 40, 64
"""see ``gramr2.selftraining.readings`` and ``gramr2.selftraining.second_view``"""
PROBED = 8
"""verdicts for each comparison whose faithfulness is probed"""


def plan(config: RunConfig, sizes: Sizes, assumed: Assumptions | None = None) -> list[Stage]:
    """The stages of a run. Their number and order do not depend on what is assumed."""
    return [*_Plan(config, sizes, assumed or Assumptions()).stages()]


class _Plan(Parts):
    def stages(self) -> Iterator[Stage]:
        """All of them."""
        config, sizes = self.config, self.sizes
        seed, held, gold = (sizes.count(part) for part in ("seed", "held_out", "gold"))
        for name in config.baselines:
            title = f"{name} · fit on {seed + held}, measure on {gold} gold comparisons"
            yield from self._baseline(name, title, [("seed", seed), ("held_out", held), ("gold", gold)])
        yield from self._warm_up()
        if config.rationale.source == "proving" and config.rationale.proving.rationales_for_seed and sizes.bare:
            yield from self._proofs("seed", sizes.bare)
        elif config.rationale.own_for_seed and sizes.bare:
            pool = config.judge.pool.model_copy(update={"votes": config.rationale.own_for_seed, "orders": "both"})
            title = f"find rationales for {sizes.bare} seed comparisons"
            yield self._judge(title, "backbone", "seed", sizes.bare, pool, "reasoned")
        yield self._train("round 0 · train the seed judge", 0, 0.0)
        yield from self._measured(0)
        for number in range(1, config.rounds + 1):
            yield from self._round(number)
        if config.final:
            title = f"final · train on {sizes.count('final')} annotated comparisons"
            settings = config.final.training.applied_to(config.training)
            yield self._train(title, config.rounds + 1, 0.0, part="final", settings=settings)
            yield from self._measured(config.rounds + 1)

    def _round(self, number: int) -> Iterator[Stage]:
        config = self.config
        before, left = f"round {number - 1}", self._left(number)
        judged = left if config.curriculum.per_round is None else min(left, config.curriculum.per_round)
        if config.curriculum.per_round is not None and config.curriculum.order == "easy_first":
            title = f"round {number} · find the easy ones of {left} comparisons"
            yield self._judge(title, before, "pool", left, EvaluationSampling(), "direct")
        title = f"round {number} · judge {judged} unlabelled comparisons"
        yield self._judge(title, before, "pool", judged, config.judge.pool, self.verdict)
        named = [f.view_named or "frozen-features" for f in config.filters if f.needs_second_view]
        for name in [config.second_view.name] if config.second_view else named[:1]:
            yield from self._view(name, "pool", judged)
        held = self.sizes.count("held_out")
        if config.calibrates and held >= MIN_ITEMS:
            title = f"round {number} · calibrate on {held} held-out seed comparisons"
            yield self._judge(title, before, "held_out", held, config.judge.pool, self.verdict)
        kept = self._share(number) * judged
        if config.rationale.source == "joint" and self.verdict == "direct":
            title = f"round {number} · write rationales for {kept:.0f} labels"
            yield self._judge(title, before, "pool", kept, config.judge.pool, "reasoned")
        if config.rationale.source == "proving":
            yield from self._proofs("pool", kept)
        yield from self._readers(before, kept)
        total = self._accumulated(number)
        yield self._train(
            f"round {number} · train on {self.sizes.count('seed')} seed + {total:.0f} kept", number, total
        )
        yield from self._measured(number)

    def _baseline(self, name: str, title: str, of: list[tuple[str, int]], model: str = "backbone") -> Iterator[Stage]:
        n = sum(count for _, count in of)
        if name == "bradley-terry":
            learnt = [self._texts(part, count) for part, count in of[:-1]]
            passes = self.config.training.epochs_for(max(1, n - of[-1][1]))
            yield Stage(title, Kind.TRAIN, n, model, (), tuple(learnt), passes, trainings=1)
        elif name == "frozen-features":
            asked = tuple(
                Asked(2 * count, replace(self.sizes.of(part, "text"), shared=0), journaled=False)
                for part, count in self._uncached(of, model)
            )
            if asked:
                yield Stage(title, Kind.FEATURES, n, model, asked)

    def _uncached(self, of: list[tuple[str, int]], model: str) -> Iterator[tuple[str, int]]:
        """How many comparisons of each part have no hidden states of this model yet: they are computed once a run."""
        for part, count in of:
            known = self.states[model, part]
            new = min(count, self.sizes.count(part) - known)
            if new > 0:
                self.states[model, part] += new
                yield part, new

    def _view(self, name: str, part: str, n: int) -> Iterator[Stage]:
        """A second view's margins, and before the first of them its fit."""
        of = {part: n}
        if name == "frozen-features":
            of = {each: self.sizes.count(each) for each in ("seed", "held_out")} | ({} if part == "seed" else of)
        yield from self._baseline(name, f"{name} · score {n} comparisons", [*of.items()], self.warmed)

    def _texts(self, part: str, n: int) -> Learnt:
        return Learnt(2 * n, self.sizes.of(part, "text"), 0.0)

    def _warm_up(self) -> Iterator[Stage]:
        settings = self.config.warmup
        if settings is None:
            return
        count, lengths = self.sizes.texts
        trained = round(count * (1 - settings.held_out_share))
        held = Asked(2 * (count - trained), replace(lengths, shared=0), journaled=False)
        answer = lengths.mean - 1 if settings.prompt_loss else lengths.mean / 2
        learnt = Learnt(trained, lengths, answer)
        steps = settings.epochs * trained / settings.batch_size
        title = f"warm up on {trained} texts of the pool"
        yield Stage(title, Kind.WARM_UP, trained, "warm-up", (held,), (learnt,), settings.epochs, steps, 1)

    def _train(
        self,
        title: str,
        number: int,
        kept: float,
        part: str = "seed",
        settings: TrainingConfig | None = None,
    ) -> Stage:
        config = settings or self.config.training
        n = self.sizes.count(part) + kept
        with_reasons = self.sizes.count("final") if part == "final" else self.sizes.count("seed") - self._without()
        learnt = [*self._forms(part, self.sizes.count(part), with_reasons if self.reasons else 0.0, self._own())]
        if kept:
            learnt += self._forms("pool", kept, kept if self.reasons else 0.0, self._budget(self._longest()))
        passes = config.soup * config.epochs_for(max(1, round(n)))
        steps = passes * max(1, -(-n // config.batch_size))
        return Stage(title, Kind.TRAIN, n, f"round {number}", (), tuple(learnt), passes, steps, config.soup)

    def _measured(self, number: int) -> Iterator[Stage]:
        """Readings, spread of the margins, gold and probes of one judge."""
        config, sizes, model = self.config, self.sizes, f"round {number}"
        held, pool, gold = (sizes.count(part) for part in ("held_out", "pool", "gold"))
        by_labels, wanted = held >= MIN_ITEMS, config.judge.verdict
        chosen = self.verdict == "both" and (by_labels or (wanted == "auto" and number == 0 and pool > 0))
        if self.reasons and chosen:
            part, n = ("held_out", held) if by_labels else ("pool", min(READINGS_ASKED, pool))
            title = f"round {number} · read {n} verdicts directly and after a rationale"
            yield self._judge(title, model, part, n, config.judge.gold, "both")
        view = config.second_view if config.second_view and config.second_view.verdict_weight else None
        if view:
            part = "pool" if pool else "seed"
            n = min(SPREAD_ASKED, sizes.count(part))
            yield from self._view(view.name, part, n)
            if view.name == "frozen-features":
                yield from self._view(view.name, "gold", gold)
            title = f"round {number} · spread of the margins on {n} comparisons"
            yield self._judge(title, model, part, n, config.judge.gold, self.verdict)
        title = f"round {number} · measure on {gold} gold comparisons"
        yield self._judge(title, model, "gold", gold, config.judge.gold, self.verdict)
        if config.guards.faithfulness and self.verdict != "direct":
            n = min(config.guards.faithfulness, gold)
            prompt = sizes.of("gold", "reasoned").longer(self._budget(config.judge.gold.max_new_tokens))
            yield Stage(f"probe {n} rationales", Kind.READ, n, model, (Asked(PROBED * n, prompt),))

    def _proofs(self, part: str, n: float) -> Iterator[Stage]:
        settings = self.config.rationale.proving
        if settings.train and not self.taught:
            self.taught, count = True, self.sizes.count("proving")
            training = settings.training.applied_to(self.config.training)
            learnt = self._learnt(count, "proving", "proof", self._own() + self.sizes.given["proof"])
            passes = training.soup * training.epochs_for(max(1, count))
            steps = passes * max(1, -(-count // training.batch_size))
            title = f"train the proving model on {count} rationales"
            yield Stage(title, Kind.TRAIN, count, "proving", (), (learnt,), passes, steps, training.soup)
        written = self._budget(settings.max_new_tokens) - self.sizes.bridge
        proof, made = self.sizes.of(part, "proof"), settings.proofs * n
        asked = Asked(n, proof, settings.proofs, written)
        yield Stage(f"write proofs for {n:.0f} labels", Kind.JUDGE, n, "proving", (asked,))
        alone = Lengths(written + 16, (written + 16) ** 2)
        scored = (Asked(made, proof.longer(written, shared=False)), Asked(made, alone))
        yield Stage(f"score {made:.0f} proofs", Kind.READ, n, "proving", scored)

    def _readers(self, model: str, kept: float) -> Iterator[Stage]:
        """The filters that ask a model."""
        written = self._budget(self._longest())
        for each in self.config.filters:
            if each.kind == "readback":
                prompt = self.sizes.of("pool", "reasoned")
                # The responses are withheld: what is left of the prompt is what all prompts begin with.
                left = Lengths(prompt.shared + written, (prompt.shared + written) ** 2, prompt.shared)
                yield Stage(
                    f"read {kept:.0f} labels back from rationales", Kind.READ, kept, model, (Asked(kept, left),)
                )
            elif each.kind == "pmi":
                given = self.sizes.of("pool", "reasoned").longer(written, shared=False)
                alone = Lengths(written + 16, (written + 16) ** 2)
                asked = (Asked(kept, given), Asked(kept, alone))
                yield Stage(f"score {kept:.0f} rationales", Kind.READ, kept, model, asked)
