"""An exported judge behind a plain server of another project: what the server renders is what the judge was trained on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gramr2.backends.chat_template import dated
from gramr2.backends.encoding import Encoder
from gramr2.backends.pretrained import open_config, open_tokenizer
from gramr2.backends.vllm_engine import head_in_fp32
from gramr2.comparison import Comparison
from gramr2.errors import RunError
from gramr2.judging.saved import load_options
from gramr2.judging.template import JudgeTemplate

PLAIN = "{{ bos_token or '' }}{% for message in messages %}{{ message['content'] }}{{ '\\n\\n' }}{% endfor %}"
"""the prompt of a model without a chat template, as ``gramr2.backends.encoding`` writes it"""


class Server(StrEnum):
    """What can serve an exported judge."""

    VLLM = "vllm"
    SGLANG = "sglang"
    LLAMA_CPP = "llama.cpp"


# The head in fp32: see ``gramr2.backends.label_logits``. llama.cpp's logits are in fp32 anyway.
_START = {
    Server.VLLM: (
        "vllm serve {folder} --port 8000 --served-model-name judge --generation-config vllm --hf-overrides {overrides}",
    ),
    Server.SGLANG: (
        "python3 -m sglang.launch_server --model-path {folder} --port 8000 --served-model-name judge "
        "--sampling-defaults openai --enable-fp32-lm-head",
    ),
    Server.LLAMA_CPP: (
        "python3 convert_hf_to_gguf.py {folder} --outfile judge.gguf    # in the folder of llama.cpp",
        "llama-server -m judge.gguf --port 8000 --alias judge --jinja --top-k 0 --min-p 0",
    ),
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """How many prompts a server makes the same tokens of, of how many that have the same text."""

    same: int
    prompts: int


def prepare(folder: Path, template: JudgeTemplate, comparisons: Sequence[Comparison]) -> Rendered:
    """Give the folder a chat template if it has none, and one without a date of its own (``chat_template.dated``); compare what
    servers make of it with what the judge reads here.

    A server tokenises a whole prompt at once, and takes a control token that is written in a response for one. So tokens may
    differ where texts do not. The variables for the chat template that are saved in the folder are part of each request, as those
    who ask with the folder's prompt send them.

    Raises:
        RunError: the chat template writes another text than the judge was trained on, or no request can ask for that text.
    """
    tokenizer, options = open_tokenizer(folder), load_options(folder)
    if "chat_template" in options:
        raise RunError(
            f"the judge in {folder} was trained with the chat template that chat_template_options names, which no request to a "
            "server can: serve it with gramr2 serve"
        )
    encoder = Encoder(tokenizer, options)
    prompts = [template.render(each) for each in comparisons]
    # Before it has a chat template: what the judge reads must not depend on the one that is added.
    ours = [encoder.prompt(each) for each in prompts]
    written = tokenizer.chat_template or PLAIN
    fixed = {k: dated(v) for k, v in written.items()} if isinstance(written, dict) else dated(written)
    if fixed != tokenizer.chat_template:
        tokenizer.chat_template = fixed
        tokenizer.save_pretrained(folder)
    same = 0
    for messages, ids in zip(prompts, ours, strict=True):
        turns = [{"role": turn.role, "content": turn.content} for turn in messages]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **options)
        theirs = list(tokenizer(text, add_special_tokens=False)["input_ids"])
        if tokenizer.decode(theirs) != tokenizer.decode(ids):
            raise RunError(
                f"the chat template in {folder} writes another prompt than this judge was trained on, as one that opens <think> "
                "does: serve it with gramr2 serve"
            )
        same += theirs == ids
    return Rendered(same, len(prompts))


def commands(server: Server, folder: Path) -> list[str]:
    """What starts the server, and what asks the judge that it serves."""
    name = shlex.quote(str(folder))
    overrides = shlex.quote(json.dumps(head_in_fp32(open_config(folder)))) if server is Server.VLLM else ""
    start = [each.format(folder=name, overrides=overrides) for each in _START[server]]
    return [*start, f"gramr2 judge --model openai:judge@http://127.0.0.1:8000/v1 --prompt {name} --data F --out O"]
