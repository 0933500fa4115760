"""In the form of Prometheus 2's relative grading without a reference answer: feedback by a rubric, then [RESULT] A or B."""

from gramr2.judging.parser import VerdictFormat
from gramr2.judging.prompts.base import FieldPrompt

PROMETHEUS = FieldPrompt(
    name="prometheus",
    system="You compare the work of others fairly. Your feedback says in detail where each stands beside the other.",
    user="""###The task:
You are given an instruction, which may contain an input, two responses to it, and a rubric that says what counts.
1. Write detailed feedback on how good the two responses are by this rubric alone, not in general.
2. After the feedback choose the better one of Response A and Response B, by the rubric.
3. Write it in this form: "(feedback by the rubric) [RESULT] (A or B)"
4. Write nothing before it and nothing after it.

###The instruction:
{question}

###Response A:
{answer_a}

###Response B:
{answer_b}

###The rubric:
[Is the response correct, does it do what the instruction asks for, and is it useful to whoever asked?]

###Feedback: """,
    formats=(VerdictFormat.RESULT,),
    ties=False,
    form_of="`RELATIVE_PROMPT_WO_REF` in [prometheus-eval](https://github.com/prometheus-eval/prometheus-eval), "
    "libs/prometheus-eval/prometheus_eval/prompts.py (Apache-2.0)",
)
