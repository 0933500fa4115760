"""In the form of MT-bench's pairwise prompt: an explanation, then [[A]], [[B]] or [[C]]."""

from gramr2.judging.parser import VerdictFormat
from gramr2.judging.prompts.base import FieldPrompt

USER = """[Question of the user]
{question}

[Answer of assistant A begins]
{answer_a}
[Answer of assistant A ends]

[Answer of assistant B begins]
{answer_b}
[Answer of assistant B ends]"""

SYSTEM = (
    "Two assistants have answered the same question, and you are the impartial judge of their answers. Decide which assistant "
    "does better what the user asks for. Look at how helpful, relevant, correct, thorough, original and detailed each answer is. "
    "Compare the two in a few sentences first. The order of the answers, their length and the names of the assistants must not "
    "count. "
)

MT_BENCH = FieldPrompt(
    name="mt-bench",
    system=SYSTEM
    + "End with your verdict in exactly this form: [[A]] if assistant A is better, [[B]] if assistant B is better, [[C]] if "
    "neither is.",
    user=USER,
    formats=(VerdictFormat.BRACKETS,),
    form_of="`pair-v2` in [FastChat](https://github.com/lm-sys/FastChat), fastchat/llm_judge/data/judge_prompts.jsonl "
    "(Apache-2.0)",
)
