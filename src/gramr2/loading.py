"""From a model's name to a judge: the one place that knows every form of a name. No torch until a model is loaded."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, overload

from gramr2.backends.base import Backend
from gramr2.backends.kinds import scalar_folder
from gramr2.baselines import BASELINES
from gramr2.comparison import Comparison, Message, Prompt, ResponseSet, SingleResponse
from gramr2.config.engine import EngineConfig
from gramr2.errors import ConfigError, ModelError, ModelNotFoundError
from gramr2.files import exists
from gramr2.judging.judge import Judge
from gramr2.judging.options import APPLY, EngineKind, JudgeOptions, Kind, Verdict, require
from gramr2.judging.preference import PreferenceModel
from gramr2.judging.prompts import FieldTemplate, prompt
from gramr2.judging.saved import PROMPT_FILE, load_options, load_template, own_prompt
from gramr2.judging.scalar import ScalarJudge
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import Decision
from gramr2.rewards.pointwise import Scored, against_references, grade
from gramr2.rewards.ranking import Ranking, rank
from gramr2.rewards.shared import SharedModel
from gramr2.rewards.tournaments import tournament
from gramr2.text import closest, hint

__all__ = ["JudgeOptions", "LoadedJudge", "generative_judge", "kind_of", "load_judge", "preference_model", "require"]
log = logging.getLogger("gramr2")


class LoadedJudge:
    """What ``load_judge`` returns: compares, ranks and scores. It is a ``PreferenceModel`` itself.

    Any number of threads may ask at once; comparisons that wait are judged together. It can be pickled: what comes out of the
    pickle loads the judge again, by its name, where it is first asked. A token is not in the pickle.

    Args:
        model: what it wraps: a ``Judge``, a ``ScalarJudge``, a ``Client`` or a baseline.
        source: name and options for ``load_judge``.
    """

    def __init__(self, model: PreferenceModel, source: tuple[str, Mapping[str, Any]] | None = None) -> None:
        self.model, self._source = model, source
        self._shared = SharedModel(model)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._source is None:
            raise TypeError(f"{self.id} cannot be pickled, since it has no name: make it with gramr2.load_judge")
        name, options = self._source
        return LaterJudge, (name, dict(options))

    def __copy__(self) -> LoadedJudge:
        return self

    def __deepcopy__(self, memo: object) -> LoadedJudge:
        # A copy would load the model a second time.
        return self

    @property
    def id(self) -> str:
        """See ``PreferenceModel``."""
        return self.model.id

    @overload
    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]: ...

    @overload
    def compare(self, prompt: Prompt, a: str, b: str, *, seed: int = 0) -> Decision: ...

    def compare(self, *given: Any, seed: int = 0, **named: Any) -> Decision | list[Decision]:
        """Which response is better.

        ``compare(prompt, a, b)`` returns one decision; ``compare(comparisons)`` returns a list of them, in the order given,
        and is faster than one by one. A prompt is a text or chat messages. ``seed`` is for the votes.

        Raises:
            PromptTooLongError: a comparison does not fit the model.
            DataError: a message of the prompt is not a text with the role system, user or assistant.
        """
        if named.keys() == {"comparisons"} and not given:
            return self._shared.compare(named["comparisons"], seed)
        if len(given) in (1, 2) and not named and not isinstance(given[0], str):
            return self._shared.compare(given[0], *given[1:] or (seed,))
        return self._shared.compare([Comparison.of(*given, **named)], seed)[0]

    def rank(
        self,
        prompt: Prompt,
        responses: Sequence[str],
        *,
        scheme: str = "round-robin",
        budget: int | None = None,
        seed: int = 0,
    ) -> Ranking:
        """The responses in order, 2 to 64 of them; ``best`` is the index of the first place: of a knockout or a champion scheme
        the one that is left over, of others the one with the highest score.

        Args:
            prompt: text or chat messages.
            responses: what is ranked.
            scheme: which pairs are compared (``gramr2 rank --help``).
            budget: comparisons to spend, for a scheme that takes a number.
            seed: for the votes.

        Raises:
            DataError: fewer than 2 or more than 64 responses.
            ConfigError: there is no such scheme.
        """
        return rank(self._shared, [ResponseSet.of(prompt, responses)], tournament(scheme, budget), seed=seed)[0]

    def score(self, prompt: Prompt, response: str, *, references: Sequence[str] = (), seed: int = 0) -> Scored:
        """The chance from 0 to 1 that a response beats its references; without any, a grade from 1 to 10 with a rationale.

        Raises:
            ConfigError: there is no reference, and the model only compares and cannot grade.
        """
        item = SingleResponse.of(prompt, response, references)
        if references:
            return against_references(self._shared, [item], seed=seed)[0]
        judge = self.model
        if isinstance(judge, Judge):
            return self._shared.alone(lambda: grade(judge.backend, [item], judge.sampling, seed=seed)[0])
        from gramr2.client import Client

        if isinstance(judge, Client):
            return Scored(**judge.score([item], by="rationale", seed=seed).scores[0].model_dump())
        why = "only compares and cannot grade a single response"
        if isinstance(judge, ScalarJudge):
            why = "gives a reward on a scale of its own (model.rewards) and no grade from 1 to 10"
        raise ConfigError(f"{self.id} {why}: give references")


class LaterJudge(LoadedJudge):
    """A judge that is loaded when it is first used: what comes out of a pickle, in a process that may never ask it."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self._source, self._opening = (name, options), Lock()

    def __getattr__(self, attribute: str) -> Any:
        if attribute not in ("model", "_shared"):
            raise AttributeError(attribute)
        name, options = self.__dict__["_source"]
        with self.__dict__["_opening"]:
            if "model" not in self.__dict__:
                self.__dict__.update(vars(load_judge(name, **options)))
        return self.__dict__[attribute]


def load_judge(name: str | Path, *, token: str | None = None, **options: Any) -> LoadedJudge:
    """A judge from its name.

    Args:
        name: a run or an adaptation, a model folder, a folder with a LoRA adapter, a hub id, a ``.gguf`` file, a named model
            (``gramr2 models list``), ``openai:NAME@URL``, ``scripted:longer``, the ``http(s)://`` address of a ``gramr2 serve``,
            or a baseline: ``longer``, ``bag-of-words:RUN``, ``frozen-features:RUN``, ``bradley-terry:RUN``. A folder or a hub id
            may be that of a scalar reward model, which its ``config.json`` tells (``LlamaForSequenceClassification``).
        token: bearer token of a server; default: ``$GRAMR2_TOKEN``.
        options: see ``JudgeOptions``.

    A judge that gramr2 trained uses the prompt that it was trained with, in the chat template with the same variables
    (``chat_template_options``), and its verdict is read as in training.

    Raises:
        ConfigError: an option is not known, or does not apply to this kind of model.
        ModelError: there is no such model, or it cannot be loaded.
        RunError: the run of a baseline is not a run folder.
    """
    known = [each.name for each in fields(JudgeOptions)]
    unknown = sorted(options.keys() - set(known))
    if unknown:
        raise ConfigError(
            f"load_judge has no option {unknown[0]}{hint(unknown[0], known)}: it takes {', '.join(known)}"
        )
    if token is not None and not is_server(str(name)):
        raise ConfigError(f"token does not apply to {name}: it is for the http(s):// address of a server")
    asked = JudgeOptions(**options)
    return LoadedJudge(preference_model(str(name), asked, token=token), (str(name), options))


def preference_model(name: str, options: JudgeOptions, *, token: str | None = None) -> PreferenceModel:
    """What ``load_judge`` wraps: a ``Judge``, a ``Client``, a ``ScalarJudge``, or a baseline. Raises as it does."""
    if is_server(name):
        _needs_none(options, f"the judge that is served at {name}")
        from gramr2.client import TOKEN, Client

        return Client(name, token=token or os.environ.get(TOKEN))
    if is_baseline(name):
        _needs_none(options, f"the baseline {name}")
        from gramr2.selftraining.gate.baselines import from_run

        kind, _, run = name.partition(":")
        return from_run(kind, run)
    _refuse_misspelt(name)
    folder = scalar_folder(name)
    return generative_judge(name, options) if folder is None else _reward_model(name, folder, options)


def kind_of(name: str) -> Kind:
    """What a name stands for. Raises ModelError and ModelNotFoundError as ``load_judge`` does."""
    if is_baseline(name):
        return Kind.BASELINE
    if is_server(name):
        return Kind.SERVER
    _refuse_misspelt(name)
    return Kind.JUDGE if scalar_folder(name) is None else Kind.REWARD_MODEL


def _reward_model(name: str, folder: Path, options: JudgeOptions) -> ScalarJudge:
    from gramr2.baselines.files import FILE

    if (folder / FILE).is_file():
        raise ConfigError(f"{folder} is a baseline of a run, which has a form of its own: give bradley-terry:RUN")
    _needs_none(options, f"the reward model {name}", set(options.given) - APPLY[Kind.REWARD_MODEL])
    from gramr2.backends.scalar import ScalarModel

    model = ScalarModel(folder, dtype=options.dtype, device=options.device, trust_remote_code=options.trust_remote_code)
    return ScalarJudge(model)


def _refuse_misspelt(name: str) -> None:
    """Refuse what is nearly a baseline, or nearly a kind of model.

    Raises:
        ModelNotFoundError: with what was probably meant.
    """
    kind, colon, rest = name.partition(":")
    known = ("scripted", "openai", *BASELINES) if colon else tuple(BASELINES)
    if kind in known or "/" in kind or exists(Path(name).expanduser()):
        return
    if meant := closest(kind, known):
        raise ModelNotFoundError(f"there is no model {name!r:.300} (did you mean {meant}{colon}{rest}?)")


def is_baseline(name: str) -> bool:
    """Whether a name is that of a cheap baseline."""
    return name.partition(":")[0] in BASELINES


def is_server(name: str) -> bool:
    """Whether a name is the address of a server."""
    return name.startswith(("http://", "https://"))


def generative_judge(name: str, options: JudgeOptions) -> Judge:
    """The judge of a generative model, the only kind that can be asked for rationales here.

    Raises:
        ConfigError: the name is that of a baseline or a server, or ``verdict`` needs a rationale and the judge writes none.
        ModelError: there is no such model, or it cannot be loaded.
    """
    if is_baseline(name) or is_server(name):
        raise ConfigError(f"{name} gives only decisions: a generative model is needed here")
    prefix, _, rest = name.partition(":")
    if prefix in ("scripted", "openai"):
        _needs_none(
            options,
            f"{name}, which is not loaded here",
            ("backend", "dtype", "device", "trust_remote_code", "second_view", "engine", "workers"),
        )
    asked = _prompted(options)
    if prefix == "scripted":
        from gramr2.judging.scripted import scripted

        _needs_none(options, f"{name}, which answers in gramr2's own form", ("prompt",))
        return Judge(scripted(rest), _read(load_template(None, options.mode), options.verdict), options.sampling)
    if prefix == "openai":
        from gramr2.backends.openai import OpenAIBackend

        own = own_prompt(options.prompt)
        template = asked or _read(load_template(own, options.mode), options.verdict)
        return Judge(OpenAIBackend(rest, chat_template_options=load_options(own)), template, options.sampling)
    from gramr2.backends.local import open_local
    from gramr2.backends.registry import adapted, resolve
    from gramr2.baselines.view import load_view

    base, adapter = adapted(name)
    folder = adapter or resolve(base)
    prompts = own_prompt(options.prompt) or folder
    template, verdict, of_template = load_template(prompts, options.mode), options.verdict, load_options(prompts)
    if verdict is None and template.mode is JudgeMode.REASON and not (prompts / PROMPT_FILE).is_file():
        # An untrained model may not reach the end of a rationale.
        verdict = "both"
    template = asked or _read(template, verdict)
    opened = partial(
        open_local,
        options.backend,
        base,
        adapter=adapter,
        dtype=options.dtype,
        device=options.device,
        trust_remote_code=options.trust_remote_code,
        chat_template_options=of_template,
    )
    view = None
    if options.second_view and asked is None:
        view = load_view(
            folder, dtype=options.dtype, device=options.device, trust_remote_code=options.trust_remote_code
        )
    here = options.engine == EngineKind.LOCAL
    backend = opened() if here else _in_workers(opened, base, adapter, of_template, options)
    return Judge(backend, template if asked is None else _heard(asked, backend), options.sampling, view)


def _prompted(options: JudgeOptions) -> FieldTemplate | None:
    """The template of the prompt that is asked for, if one is.

    Raises:
        ConfigError: there is no such prompt, or an option needs gramr2's own form.
    """
    if options.prompt is None or own_prompt(options.prompt):
        return None
    _needs_none(
        options,
        f"the prompt {options.prompt}, whose answers are not guided",
        ("mode", "verdict", "close", "direct_certainty"),
    )
    return FieldTemplate(prompt=prompt(options.prompt))


def _heard(template: FieldTemplate, backend: Backend) -> FieldTemplate:
    """The template for a model whose chat template may refuse a system's turn."""
    try:
        backend.count_tokens((Message("system", "x"), Message("user", "x")))
    except ModelError as error:
        if template.prompt.system:
            log.info("%s: the prompt's system text begins the user's turn (%s)", backend.id, error)
        return replace(template, one_turn=True)
    return template


def _in_workers(
    opened: Callable[[], Backend],
    base: str,
    adapter: Path | None,
    of_template: dict[str, Any],
    options: JudgeOptions,
) -> Backend:
    """The model in workers that Ray places; its tokenizer is here."""
    from gramr2.backends.counting import TokenizerCounter
    from gramr2.backends.ray_workers import on_ray
    from gramr2.backends.registry import resolve

    counter = TokenizerCounter(resolve(base), of_template, options.trust_remote_code, adapter)
    engine = EngineConfig(kind="ray", workers=options.workers or "auto")
    return on_ray(opened, counter.count_tokens, engine, options.device)


def _read(template: JudgeTemplate, verdict: str | None) -> JudgeTemplate:
    """The template with another reading, if one is asked for; a judge that was trained to be read both ways keeps its
    weights.

    Raises:
        ConfigError: ``verdict`` needs a rationale, and the judge writes none.
    """
    if verdict is None:
        return template
    if template.mode is JudgeMode.LABEL and verdict != "direct":
        raise ConfigError(f"verdict {verdict} needs a rationale, and this judge writes none (mode label): leave it out")
    weights = Verdict(verdict).weights
    if weights.asked == template.readings.asked:
        return template
    return replace(template, readings=replace(weights, ties=template.readings.ties))


def _needs_none(options: JudgeOptions, what: str, names: Collection[str] | None = None) -> None:
    given = [each for each in options.given if names is None or each in names]
    if given:
        raise ConfigError(f"{given[0]} does not apply to {what}: leave it out")
