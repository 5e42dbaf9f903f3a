"""The ids of the tokens that frame a text, whatever a tokenizer calls them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmtrain.errors import StageError


@dataclass(frozen=True)
class SpecialIds:
    """Token ids.

    Attributes:
        begin: opens a text: the classification token, else the begin token, else the end token.
        end: closes it: the end token, else the separator.
        pad: fills rows.
        mask: stands for what is hidden; None where the tokenizer has none.
        sentinels: stand for spans that were taken out, in their order; empty where it has none.
    """

    begin: int
    end: int
    pad: int
    mask: int | None = None
    sentinels: tuple[int, ...] = ()


def special_ids(tokenizer: Any, folder: str | Path) -> SpecialIds:
    """Return the special tokens of a tokenizer.

    Args:
        tokenizer: of Transformers.
        folder: where it comes from, for the errors.

    Raises:
        StageError: it has neither end token nor separator, or no padding token.
    """
    given = (tokenizer.cls_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.sep_token_id)
    classification, begin, end, separator = (one if isinstance(one, int) else None for one in given)
    closing = end if end is not None else separator
    if closing is None:
        raise StageError(
            f"the tokenizer {folder} has neither an end token nor a separator, which documents are told "
            "apart by: name one as eos_token in its tokenizer_config.json"
        )
    if not isinstance(tokenizer.pad_token_id, int):
        raise StageError(f"the tokenizer {folder} has no padding token: name one as pad_token")
    opening = next((one for one in (classification, begin) if one is not None), closing)
    mask = tokenizer.mask_token_id
    sentinels = (tokenizer.convert_tokens_to_ids(f"<extra_id_{number}>") for number in range(100))
    known = [one for one in sentinels if isinstance(one, int) and one != tokenizer.unk_token_id]
    return SpecialIds(
        opening, closing, tokenizer.pad_token_id, mask if isinstance(mask, int) else None, tuple(known)
    )
