"""Text of many lines of numbers, read a block at a time with NumPy.

A line at a time in Python takes seconds for a mesh of a million vertices.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_BLOCK_BYTES: Final = 4 << 20
_NEWLINE: Final = 10
_SPACE: Final = 32
_COMMENT: Final = re.compile(rb"(?<!\S)#[^\n]*")
_IS_SPACE: Final = np.isin(np.arange(256), np.frombuffer(b" \t\n\r\v\f\0", np.uint8))


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines of a text, and where their words are.

    Parameters
    ----------
    characters : (b,) uint8 array
        Each line with its newline; comments are blank.
    starts, ends : (n,) int64 arrays
        The bytes of each line.
    first_word, word_count : (n,) int64 arrays
        The index of the first word of each line, and how many it has.
    words, word_ends : (w,) int64 arrays
        The bytes of each word.
    number : int
        How many lines of the file come before these.
    """

    characters: NDArray[np.uint8] = field(repr=False)
    starts: NDArray[np.int64] = field(repr=False)
    ends: NDArray[np.int64] = field(repr=False)
    first_word: NDArray[np.int64] = field(repr=False)
    word_count: NDArray[np.int64] = field(repr=False)
    words: NDArray[np.int64] = field(repr=False)
    word_ends: NDArray[np.int64] = field(repr=False)
    number: int

    def beginning_with(self, keyword: bytes) -> NDArray[np.int64]:
        """The lines whose first word is this, in any case of letters."""
        candidates: NDArray[np.int64] = np.flatnonzero(self.word_count)
        word = self.first_word[candidates]
        length = self.word_ends[word] - self.words[word]
        candidates = candidates[length == len(keyword)]
        for position, letter in enumerate(keyword.lower()):
            at = self.words[self.first_word[candidates]] + position
            is_letter: NDArray[np.bool_] = (self.characters[at] | 0x20) == letter
            candidates = candidates[is_letter]
        return candidates

    def text_of(self, lines: NDArray[np.int64], *, blank_words: int) -> bytes:
        """These lines one after the other, their first words blanked."""
        if not len(lines):
            return b""
        lengths = self.ends[lines] - self.starts[lines]
        first = np.cumsum(lengths) - lengths
        if lines[-1] - lines[0] + 1 == len(lines):  # as most files have them: in one piece
            text = self.characters[self.starts[lines[0]] : self.ends[lines[-1]]].copy()
        else:
            place = np.arange(int(lengths.sum())) + np.repeat(self.starts[lines] - first, lengths)
            text = self.characters[place]
        if blank_words:
            word = self.first_word[lines]
            start = first + self.words[word] - self.starts[lines]
            length = self.word_ends[word] - self.words[word]
            for offset in range(int(length.max(initial=0))):
                text[(start + offset)[offset < length]] = _SPACE
        return bytes(text.tobytes())

    def line(self, line: int) -> bytes:
        """One line without what surrounds it."""
        return self.characters[self.starts[line] : self.ends[line]].tobytes().strip()


def lines_of(data: bytes, *, comments: bool) -> Iterator[Lines]:
    """The lines of a text, block by block; every line in one piece.

    Parameters
    ----------
    data : bytes
        Lines end in a line feed, with or without a carriage return before it.
    comments : bool
        Whether a ``#`` at the beginning of a word makes the rest of a line a comment.
    """
    start, number = 0, 0
    while start < len(data):
        end = data.find(b"\n", start + _BLOCK_BYTES) + 1 or len(data)
        block = data[start:end]
        if comments and b"#" in block:
            block = _COMMENT.sub(b"", block)
        if not block.endswith(b"\n"):
            block += b"\n"
        lines = split_lines(block, number)
        yield lines
        start, number = end, number + len(lines.starts)


def split_lines(block: bytes, number: int = 0) -> Lines:
    """The lines and words of a text that ends in a line feed."""
    characters = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(characters == _NEWLINE) + 1
    starts = np.concatenate([[0], ends[:-1]])
    is_space = _IS_SPACE[characters]
    edges = np.flatnonzero(is_space[1:] != is_space[:-1]) + 1
    if len(is_space) and not is_space[0]:
        edges = np.concatenate([[0], edges])
    words, word_ends = edges[0::2], edges[1::2]  # the newline at the end closes the last word
    first_word = np.searchsorted(words, starts)
    word_count = np.diff(first_word, append=len(words))
    return Lines(characters, starts, ends, first_word, word_count, words, word_ends, number)


def numbers_in(text: bytes, count: int | None, dtype: Any = np.float64) -> NDArray[Any] | None:
    """The numbers of a text, or None where it is not `count` words that are numbers.

    Without a count, two numbers in one word count as two.
    """
    if count == 0:
        return np.empty(0, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        try:
            # Two numbers in one word make the count wrong, and so are noticed.
            values = np.fromstring(text, dtype, sep=" ")
        except (DeprecationWarning, ValueError, OverflowError):
            return None
    return values if count in (None, len(values)) else None
