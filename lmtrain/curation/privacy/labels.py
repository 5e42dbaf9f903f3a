"""What a word before a number says of it: a telephone, a version, an order.

A text and a place come in; out goes whether such a word stands right before it.
The words are matched from the number backwards, so that the work is that of
their few characters.
"""

import re
from collections.abc import Iterable

_REACH = 32
"""Characters before a number that are looked at."""


def _alternatives(words: Iterable[str]) -> str:
    return "|".join(re.escape(word[::-1]) for word in sorted(words, reverse=True))


class Label:
    """Words that may stand before a number, and what may stand between.

    Args:
        latin: words of Latin letters, whole and in small letters.
        fillers: of these up to three may follow.
        chinese: words of Chinese characters, which may end a longer one.
        chinese_fillers: of these up to two may follow.
    """

    def __init__(self, latin: str, fillers: str, chinese: str, chinese_fillers: str) -> None:
        self._pattern = re.compile(
            rf"[^\w\n]{{0,4}}(?:(?:(?:{_alternatives(fillers.split())})[^\w\n]{{1,3}}){{0,3}}"
            rf"(?:{_alternatives(latin.split())})(?![a-z])"
            rf"|(?:{_alternatives(chinese_fillers.split())}){{0,2}}(?:{_alternatives(chinese.split())}))"
        )

    def before(self, text: str, place: int) -> bool:
        """Tell whether one of the words stands before this place, with at most signs and fillers between."""
        backwards = text[max(0, place - _REACH) : place][::-1].lower()
        return self._pattern.match(backwards) is not None


TELEPHONE = Label(
    "call cell cellphone dial fax hotline mob mobile ph phone phones sms tel telephone whatsapp",
    "me us her him them at on is was no nr number numbers home office work or",
    "传真 傳真 电话 電話 拨打 撥打 客服 联系方式 聯繫方式 热线 熱線 手机 手機 致电 致電 专线 專線 座机 座機",
    "号码 號碼 号 號 是 为 為",
)
"""A number of seven digits or more behind these is a telephone's, however it is written."""

MAIL = Label(
    "email mail mailto", "address at id is me to", "邮箱 郵箱 邮件 郵件 电邮 電郵 邮址 信箱", "地址 是 为 為"
)
"""Behind these `joe at example.com` is an address, not a place where somebody is."""

IDENTITY = Label(
    "citizen id identity passport resident",
    "card is no nr number old the",
    "身份证 身份證 证件 證件 居民 公民",
    "号码 號碼 号 號 是 为 為",
)
"""A number of 15 digits behind these may be an identity number."""

CARD_WORDS = Label(
    "amex card cards credit debit mastercard payment unionpay visa",
    "account is no nr number numbers",
    "卡 卡号 卡號 账号 賬號 帐号 銀聯 银联",
    "号码 號碼 号 號 是 为 為",
)
"""A number behind these may be a card's, in whatever groups its digits are written."""

NUMBERED = Label(
    "barcode id imei invoice isbn issn item order part qq serial sku ticket tracking uid #",
    "id is no nr number numbers",
    "编号 編號 单号 單號 订单 訂單 流水 学号 學號 工号 工號 群号 群號 序列 qq qq群 条码 條碼 快递",
    "号码 號碼 号 號 是 为 為",
)
"""A number behind these is neither a telephone's nor a card's, though it looks like one."""

VERSION = Label(
    "appendix build chapter chrome chromium clause edge excel exim figure firefox firmware java jdk kernel "
    "mozilla office openssl opera paragraph php postfix python release releases revision safari section "
    "sections sendmail table v ver version versions",
    "is no number to",
    "§ 第 版本 版 固件 章 节 節 条 條 图 圖 表",
    "号 號 是 为 為",
)
"""Four numbers behind these are a version's or a section's, not an address."""
