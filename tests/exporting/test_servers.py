"""An export for a plain server of another project."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from gramr2.backends.encoding import Encoder
from gramr2.backends.registry import resolve
from gramr2.comparison import Comparison
from gramr2.errors import RunError
from gramr2.exporting.servers import PLAIN, Server, commands, prepare
from gramr2.judging.saved import save_template
from gramr2.judging.template import JudgeTemplate

PAIRS = [Comparison.of(f"What is {i}+{i}?", f"It is {2 * i}.", "No idea.") for i in range(4)]


def folder_with(tmp_path: Path, chat: str | None) -> Path:
    tokenizer = AutoTokenizer.from_pretrained(resolve("lab-tiny"))
    tokenizer.chat_template = chat
    tokenizer.save_pretrained(tmp_path / "m")
    return tmp_path / "m"


def test_its_own_chat_template_is_left_alone(tmp_path: Path) -> None:
    own = AutoTokenizer.from_pretrained(resolve("lab-tiny")).chat_template
    found = prepare(folder_with(tmp_path, own), JudgeTemplate(), PAIRS)
    assert found.same == found.prompts == 4
    assert AutoTokenizer.from_pretrained(tmp_path / "m").chat_template == own


def test_a_token_that_a_server_reads_in_a_response_is_counted(tmp_path: Path) -> None:
    own = AutoTokenizer.from_pretrained(resolve("lab-tiny")).chat_template
    # An added token of this tokenizer: here a text is data, and a server takes it for the token.
    pairs = [*PAIRS[:1], Comparison.of("What is 1+1?", "It is 2.", "One.\n\nTwo.")]
    found = prepare(folder_with(tmp_path, own), JudgeTemplate(), pairs)
    assert (found.same, found.prompts) == (1, 2)


def test_a_model_without_a_chat_template_gets_the_one_it_was_trained_with(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, None)
    ours = Encoder(AutoTokenizer.from_pretrained(folder)).prompt(JudgeTemplate().render(PAIRS[0]))
    found = prepare(folder, JudgeTemplate(), PAIRS)
    served: Any = AutoTokenizer.from_pretrained(folder)
    assert served.chat_template == PLAIN
    turns = [{"role": "user", "content": JudgeTemplate().render(PAIRS[0])[0].content}]
    text = served.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert served.decode(served(text, add_special_tokens=False)["input_ids"]) == served.decode(ours)
    assert found.prompts == 4


def test_a_template_that_asks_for_the_date_gets_the_one_that_the_judge_was_trained_with(tmp_path: Path) -> None:
    dated = "{{ strftime_now('%d %b %Y') }}{% for m in messages %}\n\n{{ m['content'] }}{% endfor %}\n\n"
    folder = folder_with(tmp_path, dated)
    assert prepare(folder, JudgeTemplate(), PAIRS).prompts == 4
    assert "26 Jul 2024" in AutoTokenizer.from_pretrained(folder).chat_template


def test_a_template_that_opens_the_thinking_is_refused(tmp_path: Path) -> None:
    opened = "{% for m in messages %}{{ m['content'] }}{% endfor %}\n<think>\n"
    with pytest.raises(RunError, match="writes another prompt than this judge was trained on"):
        prepare(folder_with(tmp_path, opened), JudgeTemplate(), PAIRS)


def test_the_variables_of_the_judges_chat_template_are_those_of_the_requests(tmp_path: Path) -> None:
    """As Qwen3's: without the variable, the prompt ends in a thought that is not the judge's."""
    qwen = (
        "{% for m in messages %}{{ m['content'] }}{% endfor %}"
        "{% if enable_thinking is defined and not enable_thinking %}\nNo thoughts.\n{% else %}\n<think>\n{% endif %}"
    )
    folder = folder_with(tmp_path, qwen)
    save_template(JudgeTemplate(), folder, {"enable_thinking": False})
    assert prepare(folder, JudgeTemplate(), PAIRS).prompts == 4
    save_template(JudgeTemplate(), folder, {"chat_template": "other"})
    with pytest.raises(RunError, match="which no request to a server can: serve it with gramr2 serve"):
        prepare(folder, JudgeTemplate(), PAIRS)


@pytest.mark.parametrize("server", list(Server))
def test_the_commands_name_the_folder(server: Server, tiny_model: Path) -> None:
    *start, ask = commands(server, tiny_model)
    assert any(str(tiny_model) in line for line in start)
    assert f"--model openai:judge@http://127.0.0.1:8000/v1 --prompt {tiny_model}" in ask


def test_logits_are_in_fp32(tiny_model: Path) -> None:
    """Those of bf16 make the two orders of a comparison cancel out."""
    start = shlex.split(commands(Server.VLLM, tiny_model)[0])
    assert json.loads(start[start.index("--hf-overrides") + 1]) == {"head_dtype": "float32"}
    assert "--enable-fp32-lm-head" in shlex.split(commands(Server.SGLANG, tiny_model)[0])


def test_a_folder_with_a_space_is_quoted(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my judge"
    folder.mkdir()
    (folder / "config.json").write_bytes((tiny_model / "config.json").read_bytes())
    assert all(f"'{folder}'" in line for line in commands(Server.VLLM, folder))


@pytest.mark.slow
def test_the_command(cli, tmp_path: Path) -> None:
    words = ("export", "-m", "lab-tiny", "-o", tmp_path / "out", "--limit", "2", "--max-new-tokens", "8")
    code, text, err = cli(*words, "--for", "vllm")
    assert code == 0, err
    assert "makes the same tokens of 2 of 2 prompts" in text
    assert f"vllm serve {tmp_path / 'out'}" in text
    assert json.loads((tmp_path / "out" / "gramr2_judge.json").read_text())["mode"] == "reason"
    code, _, err = cli(*words, "--for", "vlm")
    assert code == 2
    assert "did you mean vllm?" in err
