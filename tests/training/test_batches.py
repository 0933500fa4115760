"""Training examples as tensors: what is shared, what is padding, and where a label stands."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from teaching import ITEMS, batch_of, encoder_of, rows_of

from conftest import make
from gramr2.backends.encoding import Encoder
from gramr2.comparison import Label, LabeledComparison
from gramr2.judging.proving import ProvingTemplate
from gramr2.training.batches import IGNORED, MIN_SHARED, Row, Rows
from gramr2.training.examples import TokenSequence


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> Encoder:
    return encoder_of(tiny_model)


def of_form(rows: list[Row], *, reasoned: bool) -> list[tuple[int, TokenSequence]]:
    return [(unit, each) for unit, row in enumerate(rows) for each in row.sequences if each.reasoned is reasoned]


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("name", ["direct", "reasoned"])
def test_every_row_is_its_sequence_behind_padding(encoder: Encoder, name: str, share: bool) -> None:
    rows = rows_of(ITEMS, encoder)
    batch = batch_of(rows, share=share)
    form = batch[name]
    prefix = form["prefix"].tolist()
    assert (len(prefix) >= MIN_SHARED) is share
    assert batch["count"] == len(ITEMS)
    sequences = of_form(rows, reasoned=name == "reasoned")
    assert len(form["ids"]) == len(sequences)
    for i, (unit, sequence) in enumerate(sequences):
        seen = form["mask"][i, len(prefix) :] == 1
        assert [*prefix, *form["ids"][i][seen].tolist()] == [*sequence.prompt, *sequence.answer]
        assert form["positions"][i][seen].tolist() == list(range(len(prefix), sequence.length))
        assert form["mask"][i, : len(prefix)].all()
        answer = form["answers"][i]
        assert (
            answer[answer != IGNORED].tolist()
            == list(sequence.answer)
            == form["ids"][i, -len(sequence.answer) :].tolist()
        )
        assert form["unit"][i] == unit
        assert bool(form["swapped"][i]) is sequence.swapped
    assert form["tokens"] == sum(len(sequence.answer) for _, sequence in sequences)
    paired = {tuple(pair) for pair in form["pairs"].tolist()}
    units = form["unit"]
    assert paired == {(i, units.index(unit, i + 1)) for i, unit in enumerate(units) if unit in units[i + 1 :]}
    assert sorted([*form["alone"].tolist(), *(row for pair in paired for row in pair)]) == list(range(len(units)))


def test_the_label_is_where_the_answers_say_and_the_target_in_the_stored_order(encoder: Encoder) -> None:
    rows = rows_of(ITEMS, encoder)
    batch = batch_of(rows)
    for name in ("direct", "reasoned"):
        form = batch[name]
        for i, (unit, sequence) in enumerate(of_form(rows, reasoned=name == "reasoned")):
            item = ITEMS[unit] if not sequence.swapped else ITEMS[unit].swap()
            spelled = encoder.fragment(item.label.value)
            at = int(form["label_at"][i])
            assert form["answers"][i, at : at + len(spelled)].tolist() == spelled
            stored = ITEMS[unit].target or tuple(float(ITEMS[unit].label is label) for label in Label)
            assert form["target"][i].tolist() == pytest.approx(stored)


def test_forms_that_are_not_there_are_left_out(encoder: Encoder) -> None:
    bare = [LabeledComparison(make(), Label.A)]
    assert batch_of(rows_of(bare, encoder)).keys() == {"direct", "count"}
    assert batch_of(rows_of(ITEMS[:1], encoder, direct=False)).keys() == {"reasoned", "count"}
    assert batch_of(rows_of(ITEMS[:1], encoder)).keys() == {"direct", "reasoned", "count"}


def test_a_proof_has_no_verdict(encoder: Encoder) -> None:
    [row] = rows_of(ITEMS[:1], encoder, direct=False, template=ProvingTemplate())
    assert [each.label_at for each in row.sequences] == [None, None]
    assert batch_of([row])["reasoned"]["label_at"].tolist() == [-1, -1]


def sequence(*prompt: int) -> TokenSequence:
    return TokenSequence(prompt, (1, 2), True, False, 0, (1.0, 0.0, 0.0))


def test_a_short_common_beginning_is_not_shared() -> None:
    same = range(3, 3 + MIN_SHARED)
    for length in (0, MIN_SHARED - 1):
        rows = [Row((sequence(*same[:length], 90), sequence(*same[:length], 91)))]
        assert len(batch_of(rows, share=True)["reasoned"]["prefix"]) == 0
    rows = [Row((sequence(*same, 90), sequence(*same, 91)))]
    assert batch_of(rows, share=True)["reasoned"]["prefix"].tolist() == list(same)


def test_equal_prompts_keep_a_token_of_their_own_and_one_shares_nothing() -> None:
    same = tuple(range(40))
    form = batch_of([Row((sequence(*same), sequence(*same)))], share=True)["reasoned"]
    assert form["prefix"].tolist() == list(same[:-1])
    assert form["ids"].tolist() == 2 * [[39, 1, 2]]
    assert len(batch_of([Row((sequence(*same),))], share=True)["reasoned"]["prefix"]) == 0


def test_the_longest_sequence_is_what_rows_are_sorted_by(encoder: Encoder) -> None:
    rows = rows_of(ITEMS, encoder)
    data = Rows(rows)
    assert len(data) == len(rows)
    for i, row in enumerate(rows):
        assert len(data[i]["input_ids"]) == max(each.length for each in row.sequences)  # type: ignore[arg-type]
        assert data[i]["row"] is row


def test_types(encoder: Encoder) -> None:
    form = batch_of(rows_of(ITEMS, encoder), share=True)["direct"]
    assert {form[key].dtype for key in ("prefix", "ids", "positions", "mask", "answers", "label_at")} == {torch.long}
    assert form["swapped"].dtype is torch.bool
