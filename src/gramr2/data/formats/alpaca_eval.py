"""AlpacaEval's annotations: two outputs and ``preference``, 1 or 2; 0 and 1.5 are a tie, as is null where there is none.

Source: https://github.com/tatsu-lab/alpaca_eval
"""

from __future__ import annotations

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.config.data import label_key
from gramr2.data.fields import Fields
from gramr2.data.formats.base import DataSet, Row, comparison_of, labelled, layout_of, read_id
from gramr2.data.labels import number
from gramr2.data.prompts import find_prompt
from gramr2.data.turns import BadRowError, read_reply


class AlpacaEval(DataSet):
    """``instruction``, ``output_1``, ``output_2``, ``preference``."""

    columns = "instruction, output_1, output_2 and preference"
    needs = ("instruction", "output_1", "output_2")

    def recognises(self, row: Row) -> bool:
        # Other tables have these columns too. AlpacaEval's own always has preference, null where nobody judged.
        return super().recognises(row) and "preference" in set(row) and _of_alpaca(row)

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        prompt = find_prompt(row) or ()
        first, second = (read_reply(row[key], key) for key in ("output_1", "output_2"))
        if isinstance(row, Fields):
            row.use("generator_1", "generator_2", "generator", "raw_completion")
        value, label = row.get("preference"), None
        if value is not None and value != "":
            # With log probabilities the preference is any number from 1 to 2.
            given = number(value, "preference")
            if given != 0 and not 1 <= given <= 2:
                raise BadRowError(f"preference {given:g} is not between 1 and 2")
            label = Label.TIE if given in (0, 1.5) else Label.A if given < 1.5 else Label.B
        return [labelled(row, comparison_of(row, read_id(row, default_id), prompt, first, second), label)]


def _of_alpaca(row: Row) -> bool:
    """Whether the preference is null or a number that no ``label_map`` explains; else it is a label of a common table."""
    value = row.get("preference")
    if value is None or value == "":
        return True
    try:
        number(value, "preference")
    except BadRowError:
        return False
    return label_key(value) not in layout_of(row).label_map


ALPACA_EVAL = AlpacaEval()
