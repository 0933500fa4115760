"""Judges and runs without a model, for tests of code that is built on gramr2.

backend = ScriptedBackend(lambda request, seed: verdict_text(Label.A))
Judge(backend).compare([Comparison.of("p", "a", "b")])

self_train({"judge": {"mode": "label"}}, model="none", out=folder, engine=ScriptedEngine(), labeled=…, gold=…)
"""

from gramr2.backends.scripted import Script, ScriptedBackend
from gramr2.judging.scripted import verdict_text
from gramr2.testing.engine import ScriptedEngine, longer, proof

__all__ = ["Script", "ScriptedBackend", "ScriptedEngine", "longer", "proof", "verdict_text"]
