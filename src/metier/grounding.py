"""Which run explains an answer: the one whose output has its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from metier.wording import capitalised, compound, leaves, number_tokens, number_words, write


def ground(answer: str, outputs: Sequence[Any], task: str, *, inputs: Sequence[Any] = ()) -> int | None:
    """The index of the run whose output alone explains `answer`, or None.

    It explains it when every number in the answer that is not in the task is in the output, in any usual way to write
    it, or is the length of a list there. Of several such runs it is the one that has most of the answer's names, and
    the last of those. With `inputs`, one input a run: a run whose arguments come from an earlier run's output, and not
    from the task, explains nothing by itself.
    """
    asked = number_words(task)
    numbers = [(token, percent) for token, percent in number_tokens(answer) if token not in asked]
    names = {word.casefold() for word in capitalised(answer, beginning=False)}
    explaining = []
    for index, output in enumerate(outputs):
        figures = _Figures(output)
        borrowed = bool(inputs) and _borrowed(inputs[index], outputs[:index], task)
        if not borrowed and all(figures.cover(token, percent=percent) for token, percent in numbers):
            explaining.append((len(names & figures.words), index))
    return max(explaining)[1] if explaining else None


def unexplained(answer: str, told: Sequence[Any], task: str) -> list[str]:
    """The numbers of two digits or more in an answer that are neither in the task nor in anything that was told, in any
    usual way to write them: misread, computed in the head, or made up."""
    asked, figures = number_words(task), [_Figures(value) for value in told]
    return [
        token
        for token, percent in number_tokens(answer)
        if len(token) > 1 and token not in asked and not any(f.cover(token, percent=percent) for f in figures)
    ]


class _Figures:
    """What an output has to explain numbers and names with."""

    def __init__(self, output: Any) -> None:
        self.words: set[str] = set()
        self._plain = {str(length) for length in _lengths(output)}
        self._percent: set[str] = set()
        for _, value in leaves(output):
            if isinstance(value, str):
                found = number_words(value)
                self._plain |= found | {_without_zeros(token) for token in found}
                self.words.update(_words(value))
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                self._plain.update((write(value, format) or "").lstrip("-") for format in ("", ".0f", ".1f", ".2f"))
                if isinstance(value, float):
                    self._percent.update((write(value, format) or "").strip("-%") for format in (".0%", ".1%", ".2%"))

    def cover(self, token: str, *, percent: bool) -> bool:
        """Whether a number word of the answer is here: whole or, for a date, a time or a range, part by part."""
        if token in self._plain or (percent and token in self._percent) or _without_zeros(token) in self._plain:
            return True
        parts = token.replace("/", "-").replace(":", "-").split("-") if compound(token) else []
        return bool(parts) and all(part in self._plain or _without_zeros(part) in self._plain for part in parts)


def _without_zeros(token: str) -> str:
    return token.lstrip("0") or "0" if token.isdigit() else token


def _words(text: str) -> set[str]:
    return {word.strip("'.,;:()!?").removesuffix("'s").casefold() for word in text.split()}


def _lengths(value: Any) -> Iterator[int]:
    if isinstance(value, list):
        yield len(value)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _lengths(item)


def _borrowed(input: Any, earlier: Sequence[Any], task: str) -> bool:
    """Whether an argument is a value of an earlier output that the task does not have."""
    known = {_text(value) for output in earlier for _, value in leaves(output)} - {""}
    asked = task.casefold()
    return any(_text(value) in known and _text(value) not in asked for _, value in leaves(input))


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, bool) else str(value).casefold()
