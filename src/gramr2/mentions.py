"""How a text names the two responses: as “Response A”, which can be exchanged, or in a way that no rule can.

A rationale is learnt in both orders of a comparison, and a person's reason is turned with what was on the screen. So “Response A”
becomes “Response B” and back. A lone “A” is far more often an article, and “the first” may be anything: a text with one of these
is not exchanged at all, see ``has_bare_mentions``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NOUNS = "Response|Assistant|Answer|Argument|Option|Candidate|Reply|Completion|Model"
_NOUNS += "|Output|Solution|Summary|Essay|Translation|System"
# Letters and digits of alphabets with words; Chinese writes “A更好” without a space.
_W = "0-9A-Za-zÀ-ɏ"
# “Answer a question” has an article: behind a space only a capital is a name, or what stands in brackets.
_MENTION = re.compile(rf"(?<![{_W}])((?i:{_NOUNS})s?)( (?=[AB])| \((?=[ABab]\))|-(?=[AB])|_)([ABab])(?![{_W}])")
# “Responses A and B”: the second letter has no noun of its own.
_PAIR = re.compile(rf"(?<![{_W}])((?i:{_NOUNS})s?[ _])([ABab])((?i: and | or | & |/))([ABab])(?![{_W}])")
_VERBS = (
    "is|was|has|had|does|did|gives|gave|wins|fails|says|answers|explains|provides|offers|contains|includes|makes|gets|beats|would|"
    "could|should|seems|looks|appears|covers|shows|uses|misses|lacks|ignores|follows|addresses|adds|goes|takes|states|claims|"
    r"mentions|fits|reads|sounds|needs|tries|keeps|leaves|helps|feels|stays|remains|writes|cites|\w+n['’]t"
)
_BEHIND = "over|than|because|since|but|for|with|in|as|by|at|from|which|who|instead"
# An “A” that begins a sentence is an article before a word, unless only a name can stand there; within one it is a name.
_BARE = re.compile(
    rf"(?<![{_W}-])(?<![{_W}]['’])(?:B(?!['’-]?[{_W}])|[AB]['’]s(?![{_W}])"
    rf"|A(?=[^{_W}\s'’-]|['’](?![{_W}])|[ \t]*(?:\r?\n|$)| [<>=&/|(–—]| - | (?:{_VERBS}|and B|or B|{_BEHIND})\b(?!-))"
    rf"|(?<=[{_W},] )A(?!['’-]?[{_W}]))"
)
# In small letters “response a” may be an article, and is left as it is; “response b” is not.
_SMALL = re.compile(rf"(?<![{_W}])(?i:{_NOUNS}) (?:b(?![{_W}])|a (?:{_VERBS})\b)")
# Names by number or place; not “the right answer”, which is rather the correct one.
_PLACE = re.compile(
    rf"\b(?:(?:first|second|1st|2nd|former|latter|left) (?:{_NOUNS}|one)|(?:{_NOUNS}) #?[12])(?![{_W}])", re.IGNORECASE
)
# By its place in a text that names no response these are ones on the screen; in one that does they are those in the text.
_LISTED = re.compile(
    rf"\bthe (?:former|latter|(?:first|second)(?:,| (?:{_VERBS})))(?![{_W}])"
    r"|\bon the (?:left|right)\b(?! (?:side|hand|track|path|foot))",
    re.IGNORECASE,
)
# A choice of the question stays what it is: “Response A rightly picks option B”.
_NAMED = re.compile(rf"(?<![{_W}])((?i:{_NOUNS}|Choice))(?i:s?) \(?([A-H])(?![{_W}])")
_CHOICES = ({"option", "choice"}, {"answer"})


def swap_mentions(text: str) -> str:
    """Rewrite “Response A” as “Response B” and back, for every noun in common use; an involution.

    Only explicit references are touched: a lone “A” is far more often an article than a response, and so is the “a” of “an answer
    a child could give”.
    """
    return rename_mentions(text, {"A": "B", "B": "A", "a": "b", "b": "a"})


def rename_mentions(text: str, names: Mapping[str, str]) -> str:
    """Rewrite the letters of explicit references, as in “Response A”; a letter in lower case that has no name of its own has that
    of its capital."""

    def named(letter: str) -> str:
        return names[letter] if letter in names else names[letter.upper()]

    def single(match: re.Match[str]) -> str:
        return f"{match[1]}{match[2]}{named(match[3])}"

    def pair(match: re.Match[str]) -> str:
        if match[2].isupper() is not match[4].isupper():
            # “Responses A and a third one”
            return _MENTION.sub(single, match[0])
        return f"{match[1]}{named(match[2])}{match[3]}{named(match[4])}"

    pieces: list[str] = []
    end = 0
    for found in _PAIR.finditer(text):
        pieces += [_MENTION.sub(single, text[end : found.start()]), pair(found)]
        end = found.end()
    return "".join([*pieces, _MENTION.sub(single, text[end:])])


def has_bare_mentions(text: str) -> bool:
    """Whether a text seems to name a response in a way that ``swap_mentions`` leaves (a lone “A” or “B”, “response b”, “the first
    response”), or to name choices of the question by the same letters."""
    named = [(noun.lower(), letter) for noun, letter in _NAMED.findall(text)]
    nouns = {noun for noun, _ in named}
    if any(nouns & choices and nouns - choices for choices in _CHOICES) or any(letter > "B" for _, letter in named):
        return True
    left = _MENTION.sub("", _PAIR.sub("", text))
    listed = () if named else (_LISTED,)
    return any(each.search(left) for each in (_BARE, _SMALL, _PLACE, *listed))


def turned(text: str | None) -> str | None:
    """A text that speaks of the responses, for the other order; None if there is none, or it names them in a way that cannot be
    exchanged."""
    return None if text is None or has_bare_mentions(text) else swap_mentions(text)
