"""The special tokens that model families expect, and the Hugging Face face of a tokenizer that has them."""

from dataclasses import dataclass, field
from typing import Any

from tokenizers import AddedToken, Tokenizer, processors
from transformers import PreTrainedTokenizerFast

from lmtrain.tokenization.config import Family


@dataclass(frozen=True)
class SpecialTokens:
    """What a family calls its special tokens.

    Attributes:
        names: token by role, as Transformers names roles; those of one family in the order of their ids.
        extra: tokens without a role of their own, such as T5's sentinels.
        single: how one text is framed; empty if it isn't.
        pair: how two texts are framed.
    """

    names: dict[str, str]
    extra: list[str] = field(default_factory=list)
    single: str = ""
    pair: str = ""

    @property
    def tokens(self) -> list[str]:
        """All of them once, in the order of their ids."""
        return list(dict.fromkeys([*self.names.values(), *self.extra]))


END = "<|endoftext|>"

SPECIAL_TOKENS: dict[Family, SpecialTokens] = {
    "gpt2": SpecialTokens({"bos_token": END, "eos_token": END, "pad_token": "<|pad|>"}),
    "bert": SpecialTokens(
        {
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
        },
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
    ),
    "roberta": SpecialTokens(
        {
            "bos_token": "<s>",
            "pad_token": "<pad>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "mask_token": "<mask>",
            "cls_token": "<s>",
            "sep_token": "</s>",
        },
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
    ),
    "t5": SpecialTokens(
        {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
        extra=[f"<extra_id_{number}>" for number in range(100)],
        single="$A </s>",
        pair="$A </s> $B </s>",
    ),
}
"""As published: BERT (Devlin et al. 2019), RoBERTa (Liu et al. 2019), T5 (Raffel et al. 2020)."""


def wrap(tokenizer: Tokenizer, family: Family) -> PreTrainedTokenizerFast:
    """Give a tokenizer its Hugging Face face: roles, and frames around texts."""
    special = SPECIAL_TOKENS[family]
    if special.single:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=special.single,
            pair=special.pair,
            special_tokens=[(token, tokenizer.token_to_id(token)) for token in special.tokens],
        )
    names: dict[str, Any] = {**special.names}
    if family == "roberta":  # its mask stands for the space before the word, too
        names["mask_token"] = AddedToken(special.names["mask_token"], lstrip=True, special=True)
    if family == "bert":
        names["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **names,
        extra_special_tokens=special.extra,
        clean_up_tokenization_spaces=False,
    )
