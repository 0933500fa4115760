"""The loss on real models: nothing depends on how a batch is laid out, and a verdict is taught where it is read."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from teaching import ITEMS, batch_of, encoder_of, gradients, largest_difference, objective_of, rows_of
from torch.nn.functional import cross_entropy

from gramr2.backends.encoding import Encoder
from gramr2.backends.registry import SHIPPED, resolve
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Label, LabeledComparison, Order
from gramr2.config.training import VerdictConfig
from gramr2.judging.judge import Judge
from gramr2.judging.proving import ProvingTemplate
from gramr2.judging.reading import verdicts_given
from gramr2.judging.template import JudgeTemplate
from gramr2.training import objective as module
from gramr2.training.batches import MIN_SHARED, Row
from gramr2.training.objective import Objective, forward
from gramr2.training.verdict import stored_order, verdict_losses

ALIKE = 1e-5
# lab-tiny has all rules of a plain template in one token: with a principle there is something to share.
TEMPLATE = JudgeTemplate(principles=("The answer is right and says why.",))
NO_VERDICT, EVERYTHING = VerdictConfig(weight=0), VerdictConfig(format=1)


@pytest.fixture(scope="module", params=["tiny-random", "lab-tiny"])
def folder(request: pytest.FixtureRequest, tiny_model: Path) -> Path:
    return tiny_model if request.param == "tiny-random" else Path(resolve(SHIPPED))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return encoder_of(folder)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@pytest.fixture(scope="module")
def rows(encoder: Encoder) -> list[Row]:
    return rows_of(ITEMS, encoder, template=TEMPLATE)


def answer_loss(model: Any, row: Row, *, reasoned: bool) -> float:
    """Each sequence in a pass of its own, straight from the definition."""
    total = 0.0
    for each in row.sequences:
        if each.reasoned is reasoned:
            with torch.no_grad():
                logits = model(torch.tensor([each.prompt + each.answer])).logits[0]
            told = logits[len(each.prompt) - 1 : -1]
            total += float(cross_entropy(told, torch.tensor(each.answer), reduction="sum"))
    return total


def value(model: Any, objective: Objective, batch: dict[str, Any]) -> float:
    with torch.no_grad():
        return float(objective(model, batch)[0])


@pytest.mark.parametrize("share", [True, False])
def test_in_bf16_a_verdict_is_taught_from_exact_label_logits(
    model: Any, encoder: Encoder, rows: list[Row], share: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, objective = batch_of(rows, share=share), objective_of(encoder)

    def losses() -> dict[str, float]:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            return {name: total for name, (total, _) in objective(model, batch)[1].items()}

    exact = losses()
    monkeypatch.setattr(module, "labels_in_fp32", lambda *_: nullcontext(lambda seen, place: seen.float()))
    rounded = losses()
    assert exact == pytest.approx(rounded, rel=0.05)
    assert {name for name in exact if exact[name] != rounded[name]} == {"direct_verdict_loss", "reasoned_verdict_loss"}


def test_a_shared_beginning_changes_neither_loss_nor_gradients(model: Any, encoder: Encoder, rows: list[Row]) -> None:
    whole, shared = batch_of(rows), batch_of(rows, share=True)
    assert all(len(shared[name]["prefix"]) >= MIN_SHARED for name in ("direct", "reasoned"))
    objective = objective_of(encoder)
    loss, slopes = gradients(model, objective, whole)
    also, others = gradients(model, objective, shared)
    assert also == pytest.approx(loss, rel=ALIKE)
    size = max(float(each.abs().max()) for each in slopes.values())
    assert size > 0.1
    assert largest_difference(slopes, others) < ALIKE * max(1.0, size)


def test_a_batch_is_the_mean_of_its_parts_whatever_the_padding(model: Any, encoder: Encoder, rows: list[Row]) -> None:
    objective = objective_of(encoder)
    loss, slopes = gradients(model, objective, batch_of(rows))
    assert (batch_of(rows)["direct"]["mask"] == 0).any(), "lengths differ, so there is padding"
    alone = [gradients(model, objective, batch_of([row])) for row in rows]
    assert loss == pytest.approx(sum(each for each, _ in alone) / len(rows), rel=ALIKE)
    mean = {name: sum(each[name] for _, each in alone) / len(rows) for name in slopes}
    size = max(float(each.abs().max()) for each in slopes.values())
    assert largest_difference(slopes, mean) < ALIKE * max(1.0, size)  # type: ignore[arg-type]


def test_without_its_own_loss_the_verdict_is_a_token_like_others(model: Any, encoder: Encoder, rows: list[Row]) -> None:
    with torch.no_grad():
        loss, parts = objective_of(encoder, answer_tokens=20.0, verdict=NO_VERDICT)(model, batch_of(rows))
    told = sum(answer_loss(model, row, reasoned=reasoned) for row in rows for reasoned in (False, True))
    assert float(loss) == pytest.approx(told / 20.0 / len(rows), rel=1e-4)
    assert parts.keys() == {"direct_answer_loss", "reasoned_answer_loss"}
    for name, reasoned in (("direct", False), ("reasoned", True)):
        answers = [each.answer for row in rows for each in row.sequences if each.reasoned is reasoned]
        total, tokens = parts[f"{name}_answer_loss"]
        assert tokens == sum(map(len, answers))
        assert total == pytest.approx(sum(answer_loss(model, row, reasoned=reasoned) for row in rows), rel=1e-4)


def test_the_weight_of_the_verdict_is_that_of_its_loss(model: Any, encoder: Encoder, rows: list[Row]) -> None:
    batch = batch_of(rows)
    losses = [value(model, objective_of(encoder, verdict=VerdictConfig(weight=w, format=1)), batch) for w in (0, 1, 3)]
    verdicts = 0.0
    for name in ("direct", "reasoned"):
        form, logits = batch[name], label_logits(model, encoder, batch[name])
        stored = stored_order(logits, form["swapped"])
        verdicts += float(verdict_losses(stored, form["target"], form["pairs"], form["alone"], VerdictConfig())[0])
    assert losses[1] - losses[0] == pytest.approx(verdicts / len(rows), rel=1e-4)
    assert losses[2] - losses[0] == pytest.approx(3 * verdicts / len(rows), rel=1e-4)


def test_beside_the_verdict_a_direct_answer_counts_as_its_format(model: Any, encoder: Encoder, rows: list[Row]) -> None:
    batch = batch_of(rows)
    losses = [value(model, objective_of(encoder, 20.0, verdict=VerdictConfig(format=f)), batch) for f in (0, 0.5)]
    told = sum(answer_loss(model, row, reasoned=False) for row in rows) / 20.0 / len(rows)
    assert losses[1] - losses[0] == pytest.approx(0.5 * told, rel=1e-4)


def test_a_reasoned_answer_without_weight_teaches_its_verdict_alone(
    model: Any, encoder: Encoder, rows: list[Row]
) -> None:
    direct_only = [Row(tuple(each for each in row.sequences if not each.reasoned)) for row in rows]
    direct = value(model, objective_of(encoder, verdict=NO_VERDICT), batch_of(direct_only))
    plain, verdicts, verdicts_alone = (
        value(model, objective_of(encoder, rationale_weight=weight, verdict=verdict), batch_of(rows))
        for weight, verdict in ((1, NO_VERDICT), (1, EVERYTHING), (0, EVERYTHING))
    )
    assert direct < plain, "with its weight the answer counts"
    assert verdicts_alone - direct == pytest.approx(verdicts - plain, rel=1e-3)


def test_a_proof_is_taught_by_its_tokens_alone(model: Any, encoder: Encoder) -> None:
    proofs = rows_of(ITEMS[:2], encoder, direct=False, template=ProvingTemplate())
    judge = objective_of(encoder, 30.0)
    with torch.no_grad():
        loss, parts = Objective(judge.settings, None, 30.0)(model, batch_of(proofs))
    assert float(loss) == pytest.approx(sum(answer_loss(model, row, reasoned=True) for row in proofs) / 60.0, rel=1e-4)
    assert parts.keys() == {"reasoned_answer_loss"}


def label_logits(model: Any, encoder: Encoder, form: Any) -> torch.Tensor:
    """(n, 3), as the objective finds them."""
    ids = list(objective_of(encoder).label_ids or ())
    with torch.no_grad():
        logits = forward(model, form)
    return logits[torch.arange(len(logits)), form["label_at"]][:, ids]


@pytest.mark.parametrize("share", [False, True])
def test_a_verdict_is_taught_where_it_is_read(
    model: Any, folder: Path, encoder: Encoder, rows: list[Row], share: bool
) -> None:
    """The numbers that training holds against the label are those that inference reads, direct and after a rationale."""
    backend = TransformersBackend(folder, dtype="float32")
    batch = batch_of(rows, share=share)
    read: dict[tuple[bool, int, Order], tuple[float, ...]] = {}
    for decision, unit in zip(
        Judge(backend, TEMPLATE).direct.judge([item.comparison for item in ITEMS]), range(len(ITEMS)), strict=True
    ):
        for vote in decision.judgments:
            assert vote.probabilities is not None
            read[False, unit, vote.order] = tuple(vote.probabilities[label] for label in Label)
    shown = [
        (unit, order, item if order is Order.AB else item.swap())
        for unit, item in enumerate(ITEMS)
        for order in Order
        if item.rationale is not None
    ]
    given = verdicts_given(backend, TEMPLATE, [(item.comparison, written(item)) for _, _, item in shown])
    for (unit, order, _), belief in zip(shown, given, strict=True):
        assert belief is not None
        stored = belief if order is Order.AB else belief.swap()
        read[True, unit, order] = tuple(stored[label] for label in Label)
    checked = 0
    for name in ("direct", "reasoned"):
        form = batch[name]
        logprobs = stored_order(label_logits(model, encoder, form), form["swapped"]).log_softmax(-1)
        for row, unit, swapped in zip(logprobs.tolist(), form["unit"], form["swapped"].tolist(), strict=True):
            expected = read[name == "reasoned", unit, Order.BA if swapped else Order.AB]
            assert row == pytest.approx([math.log(p) for p in expected], abs=1e-4)
            checked += 1
    assert checked == 2 * len(ITEMS) + 2 * 3 + 1, "both orders of all, and of the rationales all but the fixed one"


def written(item: LabeledComparison) -> str:
    """The rationale as it is trained on, with a conclusion."""
    pieces = JudgeTemplate().answer(item.label, item.rationale)
    return pieces[0].removeprefix("<think>\n") + pieces[1]
