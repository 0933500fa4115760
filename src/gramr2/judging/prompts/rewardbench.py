"""In the form of RewardBench's prompt for generative judges: MT-bench's without a tie."""

from gramr2.judging.parser import VerdictFormat
from gramr2.judging.prompts.base import FieldPrompt
from gramr2.judging.prompts.mt_bench import SYSTEM, USER

REWARDBENCH = FieldPrompt(
    name="rewardbench",
    system=SYSTEM
    + "End with your verdict in exactly this form: [[A]] if assistant A is better, [[B]] if assistant B is better.",
    user=USER,
    formats=(VerdictFormat.BRACKETS,),
    ties=False,
    form_of="`MTBENCH_V2` in [reward-bench](https://github.com/allenai/reward-bench), rewardbench/generative.py (Apache-2.0)",
)
