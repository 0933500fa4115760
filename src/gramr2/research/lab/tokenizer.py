"""The tiny model's tokenizer: bytes, and one token for every phrase that the lab's prompts and rationales are made of.

It can encode any text. With the phrases a comparison is a quarter as long as in bytes, and each digit is a token of its own,
so that the model sees arithmetic digit by digit.
"""

from __future__ import annotations

from typing import Any

from gramr2.comparison import Label
from gramr2.judging.proving import PROOF_OPENING, TASK, VERDICTS
from gramr2.judging.reading import WITHHELD
from gramr2.judging.template import CONCLUSIONS, HEADERS, OPENING, JudgeMode, JudgeTemplate
from gramr2.research.lab.corpus import NAMES
from gramr2.research.lab.rationales import NONE, RIGHT

START, END, PAD = "<|start|>", "<|end|>", "<|pad|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def phrases() -> list[str]:
    """The texts that are one token each. None spans two of an answer's pieces."""
    rules = [JudgeTemplate(mode).rules for mode in JudgeMode]
    tags = ["<think>", "</think>", "<answer>", "</answer>"]
    grades = [f"Response {name} is {grade}." for name in NAMES for grade in ("right", "wrong")]
    quoted = [text for name in NAMES for text in (f"[Response {name}]\n", f"Response {name}", f"Response {name} says ")]
    judging = [OPENING, *quoted, *grades, ": ", ". ", RIGHT, NONE, " of ", *CONCLUSIONS.values()]
    # “Thus, ” is no longer used, but the shipped weights have an embedding for it.
    proofs = [PROOF_OPENING, "Thus, ", "The verdict: ", *(VERDICTS[label] for label in Label)]
    working = ["What is ", "Sort the digits of ", "Copy ", "It is ", "The answer is ", "take ", " leaves ", ", ", "so "]
    frame = [WITHHELD, f"{HEADERS[0]}\n", HEADERS[-1], "\n\n", "user\n", "assistant\n"]
    return [*rules, TASK, *tags, *judging, *proofs, *working, *frame]


def build() -> Any:
    """The tokenizer, as transformers loads it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_tokens([AddedToken(phrase, normalized=False) for phrase in phrases()])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=START, eos_token=END, pad_token=PAD, chat_template=CHAT_TEMPLATE
    )
