"""What a tokenizer makes of text it never saw: how many tokens, what is unknown, what is lost."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerFast

TEXTS = 200
"""Measured in each language."""


@dataclass
class _Counts:
    texts: int = 0
    characters: int = 0
    bytes: int = 0
    tokens: int = 0
    unknown: int = 0
    same: int = 0


def measure(face: PreTrainedTokenizerFast, texts: Iterable[tuple[str, str]]) -> dict[str, dict[str, float]]:
    """Return figures by language, over the first `TEXTS` texts of each.

    Args:
        face: the tokenizer.
        texts: language and text.

    Returns:
        `tokens_per_byte`, `tokens_per_character`, `unknown`: the share of tokens
        that stand for what the vocabulary lacks, and `round_trip`: the share of
        texts that decode to themselves.
    """
    counted: dict[str, _Counts] = {}
    unknown: Any = face.unk_token_id
    for language, text in texts:
        counts = counted.setdefault(language, _Counts())
        if counts.texts == TEXTS:
            continue
        ids = face.encode(text, add_special_tokens=False, split_special_tokens=True)
        decoded = face.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        counts.texts += 1
        counts.characters += len(text)
        counts.bytes += len(text.encode())
        counts.tokens += len(ids)
        counts.unknown += ids.count(unknown)
        counts.same += decoded == text
    return {
        language: {
            "tokens_per_byte": round(counts.tokens / max(1, counts.bytes), 4),
            "tokens_per_character": round(counts.tokens / max(1, counts.characters), 4),
            "unknown": round(counts.unknown / max(1, counts.tokens), 6),
            "round_trip": round(counts.same / counts.texts, 4),
        }
        for language, counts in sorted(counted.items())
    }
