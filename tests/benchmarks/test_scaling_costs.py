"""What the paper's setting costs, by the formulas of ``check --cost``."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from scaling_costs import LLAMA_8B, Gpu, main

from gramr2.selftraining.cost.stages import Kind, Learnt, Stage


def rows_of(file: Path) -> list[dict[str, str]]:
    return [*csv.DictReader(file.read_text(encoding="utf-8").splitlines())]


def test_the_documented_figures_are_those_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--csv", str(tmp_path / "s.csv")])
    docs = Path(__file__).parents[2] / "docs"
    assert rows_of(tmp_path / "s.csv") == rows_of(docs / "scaling.csv")
    table = capsys.readouterr().out.partition("\n\n")[2].strip()
    assert table in (docs / "scaling.md").read_text(encoding="utf-8")


def test_a_shape_has_the_weights_of_its_layers() -> None:
    layers = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
    assert LLAMA_8B.body == pytest.approx(layers, rel=1e-3)


def test_gpus_share_the_work_and_passes_multiply_it(tmp_path: Path) -> None:
    main(["--csv", str(tmp_path / "1.csv")])
    main(["--csv", str(tmp_path / "3.csv"), "--epochs", "3", "--price", "6"])
    one, three = rows_of(tmp_path / "1.csv"), rows_of(tmp_path / "3.csv")
    assert float(one[0]["days"]) == pytest.approx(8 * float(one[1]["days"]))
    assert float(three[0]["train_gpu_hours"]) == pytest.approx(3 * float(one[0]["train_gpu_hours"]))
    assert float(three[0]["judge_gpu_hours"]) == pytest.approx(float(one[0]["judge_gpu_hours"]))
    assert float(three[0]["dollars"]) == pytest.approx(6 * float(three[0]["gpu_hours"]))


def test_decoding_is_bound_by_reading_and_prefill_by_multiplying() -> None:
    fast = Gpu(peak=1e18)
    assert fast.decoding(LLAMA_8B, 1000, 250, 1e6) == pytest.approx(Gpu().decoding(LLAMA_8B, 1000, 250, 1e6))
    assert Gpu(bandwidth=1e12).decoding(LLAMA_8B, 1000, 250, 1e6) > Gpu().decoding(LLAMA_8B, 1000, 250, 1e6)
    from scaling_costs import lengths

    stage = Stage("x", Kind.TRAIN, 1, "m", (), (Learnt(1000, lengths(1000, 0, 0), 100),), 1.0)
    assert Gpu().seconds(stage, LLAMA_8B) == pytest.approx(6 * 8.03e9 * 1e6 / (0.33 * 989e12), rel=0.15)
