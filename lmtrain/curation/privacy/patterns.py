"""What each kind of personal data looks like: a pattern and a check, for each rule.

Texts come in, verdicts on single matches go out; who looks where is
`lmtrain.curation.privacy.finding`. Letters and digits are ASCII's unless said
otherwise, so that a number or address right behind a Chinese character is found.
Every pattern looks at a bounded stretch, or at one that no other candidate of
it looks at again: time stays linear in the text.

Where datatrove 0.10.1 is followed and where it isn't:

- E-mail has its local part (RFC 5322 atoms, single dots) and its domain of two
  labels or more. Beyond it are found: addresses behind a Chinese character,
  letters of Latin, Greek and Cyrillic (`jörg@münchen.de`), a dot before the `@`.
  Not found: a last label of digits or of one letter (`left-pad@1.3.0`, `a@b.T`),
  `icon@2x.png`, `git@host:path`, hosts at private addresses (`root@10.0.0.1`).
- IPv4 stands alone: `v1.2.3.4`, `1.2.3.4.5` and `999.1.1.1` hold none, nor do
  `version 1.2.3.4`, `section 1.2.3.4`, `lib-1.2.3.4`, `1.2.3.4.tar.gz`, `1.2.3.4-rc1`.
  Kept beside what is private: multicast, and all of 192.0.0.0/24.

- Addresses are found spelled out: `joe [at] example.com`, `joe at example dot com`,
  and behind a word for e-mail `joe at example.com`.

Wide digits, letters and `＠` (`１３８…`) are taken for ASCII's: `finding.folded`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from lmtrain.curation.privacy import checks
from lmtrain.curation.privacy.config import Kind
from lmtrain.curation.privacy.labels import CARD_WORDS, IDENTITY, MAIL, NUMBERED, TELEPHONE, VERSION

_LETTER = r"A-Za-z0-9_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0300-\u036f\u0370-\u052f"
_ATEXT = _LETTER + r"!#$%&'*+/=?^`{|}~\-"
_LABEL = _LETTER.replace("_", "")
_ALONE = r"(?<![A-Za-z0-9_])"
_END = r"(?![A-Za-z0-9_])"
_GAP = r"[-. \u00a0\u2011\u2013\u2014]"
_GAPS = r"[-. /()\u00a0\u2011\u2013\u2014]"

_HEX = r"[0-9A-Fa-f]"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"

EMAIL = re.compile(
    rf"(?<![{_LETTER}])[{_LETTER}][{_ATEXT}]*+(?:\.(?!\.)[{_ATEXT}]*+)*+@"
    rf"(?:(?:[{_LABEL}](?:[{_LABEL}\-]*[{_LABEL}])?\.)+(?![0-9])[{_LABEL}][{_LABEL}\-]*[{_LABEL}]"
    rf"|(?P<host>{_OCTET}(?:\.{_OCTET}){{3}}){_END}"
    r"|\[(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|IPv6:[0-9A-Fa-f:.]{2,45})\])"
)
START_OF_EMAIL = re.compile(rf"(?<![{_LETTER}])[{_LETTER}]")
_PICTURE = re.compile(r"@[0-9](?:\.[0-9])?x\.(?:avif|gif|ico|jpe?g|pdf|png|svg|webp)\Z")

_OPEN, _CLOSE = r"[\[({<\uff08]", r"[\])}>\uff09]"
_SPELLED_DOT = rf"(?:\.| {{0,2}}{_OPEN} ?(?:dot|\.) ?{_CLOSE} {{0,2}}| dot )"
SPELLED = re.compile(
    r"(?<![A-Za-z0-9_.+-])(?:[A-Za-z0-9][A-Za-z0-9_.+-]{0,31} dot ){0,2}"
    r"(?P<local>[A-Za-z0-9][A-Za-z0-9_.+-]{0,31})"
    rf"(?: {{0,2}}{_OPEN} ?at ?{_CLOSE} {{0,2}}|(?P<plain> at ))"
    rf"(?P<domain>(?P<first>[A-Za-z0-9-]{{1,31}})(?:{_SPELLED_DOT}[A-Za-z0-9-]{{1,31}}){{0,2}}"
    rf"{_SPELLED_DOT}(?P<last>[A-Za-z]{{2,12}}))(?![A-Za-z0-9_-])",
    re.IGNORECASE | re.ASCII,
)
_SPELLED_ENDS = "ac biz cn co com de edu es eu fr gov hk info io jp kr mil net nl org ru sg tw uk"
"""Last labels with which `joe at example dot com` is an address, where every word could be a plain one."""
_NO_LOCAL_PART = (
    "a all and are available be been but check data email found go here i is it just live look looking mail "
    "me more not now of one online only or out page read register see shop sign site sold store them there "
    "time up us visit was website were work worked working works"
)
_NO_DOMAIN = "a an any each every her his its my no one our that the their this your"

IPV4 = re.compile(
    rf"{_ALONE}(?<![0-9]\.)(?<![A-Za-z][-_]){_OCTET}(?:\.{_OCTET}){{3}}{_END}(?!\.[0-9])"
    r"(?![-.~+]?(?:alpha|beta|dev|final|rc|snapshot|ubuntu|deb|dfsg|orig|el[0-9]|fc[0-9]))"
    r"(?!\.(?:apk|dll|dmg|exe|gz|jar|msi|patch|rpm|so|tar|tgz|whl|zip)(?![A-Za-z0-9]))",
    re.IGNORECASE,
)

IPV6 = re.compile(
    r"(?<![A-Za-z0-9_:.])[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{0,40}(?:(?:\.[0-9]{1,3}){3}(?!\.[0-9]))?"
    r"(?<!(?<!:):)(?![0-9A-Za-z_]|:[0-9A-Za-z])"
)

_CARD_GROUPS = (
    r"[0-9]{13,19}|[0-9]{4}(?P<a>[- .\u00a0])[0-9]{4}(?P=a)[0-9]{4}(?P=a)[0-9]{1,4}(?:(?P=a)[0-9]{1,3})?"
    r"|[0-9]{4}(?P<b>[ -])[0-9]{6}(?P=b)[0-9]{4,5}|[0-9]{6}[ -][0-9]{13}|[0-9]{8}[ -][0-9]{8}"
    rf"|(?P<labelled>(?<![0-9]{_GAP})[0-9](?>(?:{_GAP}{{0,2}}[0-9]){{12,18}})(?!{_GAP}{{0,2}}[0-9]))"
)
CARD = re.compile(rf"{_ALONE}(?<![0-9][-.,])(?<![A-Za-z]-)(?:{_CARD_GROUPS}){_END}(?![-.,][0-9])")

CHINESE_ID = re.compile(
    rf"{_ALONE}(?<![0-9][-.,])[1-9][0-9]{{5}}(?:"
    rf"(?P<apart>[ -]?)(?:19|20)[0-9]{{2}}[01][0-9][0-3][0-9](?P=apart)[0-9]{{3}}[0-9Xx]"
    rf"|(?P<old>[0-9]{{2}}[01][0-9][0-3][0-9]{{4}})){_END}(?![-.,][0-9])"
)

_ACCOUNTS = {
    letter: "|".join(
        rf"{country[1]}[0-9]{{2}}(?:[ -]?[A-Z0-9]){{{size - 4}}}"
        for country, size in checks.IBAN_LENGTHS.items()
        if country[0] == letter
    )
    for letter in sorted({country[0] for country in checks.IBAN_LENGTHS})
}
IBAN = re.compile(
    rf"{_ALONE}(?:{'|'.join(f'{x}(?:{accounts})' for x, accounts in _ACCOUNTS.items())}){_END}",
    re.IGNORECASE | re.ASCII,
)

_JWT = r"eyJ[A-Za-z0-9_-]{10,}+\.eyJ[A-Za-z0-9_-]{10,}+\.[A-Za-z0-9_-]{10,}+"
_PRIVATE_KEY = (
    r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]*+(?:-(?!----)[^-]*+)*+-----END [A-Z0-9 ]{1,60}-----|(?:\s{1,4}[A-Za-z0-9+/=]{40,}+)+)"
)
API_KEY = re.compile(
    r"(?<![A-Za-z0-9_-])(?:A(?:KIA|SIA)(?P<aws>[A-Z0-9]{16})(?![A-Za-z0-9])"
    r"|(?:gh[pousr]_|hf_|npm_)(?P<token>[A-Za-z0-9]{30,}+)"
    r"|(?:github_pat_|glpat-|pypi-AgE)(?P<long>[A-Za-z0-9_-]{20,}+)"
    r"|(?:xox[abeoprs]|xapp)-(?P<slack>[A-Za-z0-9-]{10,}+)"
    r"|AIza(?P<google>[A-Za-z0-9_-]{35})(?![A-Za-z0-9_-])"
    r"|[rs]k_(?:live|test)_(?P<stripe>[A-Za-z0-9]{16,}+)"
    r"|sk-(?P<openai>[A-Za-z0-9_-]{20,}+)"
    rf"|{_JWT}|{_PRIVATE_KEY})"
)
_SOLID = re.compile(r"[A-Za-z0-9]{16}")

_COUNTRY = (
    r"(?:1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|(?:2[1-689]|3[578]|42|5[09]|6[789]|8[0578]|"
    r"9[679])[0-9])"
)
_EXTENSION = r"(?: ?(?:x|ext\.?|转|轉) ?[0-9]{1,5})?"
_STOP = rf"{_END}(?![-.][0-9])"
_PHONES = (
    # Chinese mobile: 138 0013 8000, +86 13800138000
    rf"(?P<mobile>(?:(?:\+|00[ -]?)?86\)?{_GAP}{{0,2}})?"
    rf"1[3-9][0-9](?P<gap>{_GAP}?)[0-9]{{4}}(?P=gap)[0-9]{{4}}){_STOP}",
    # North American with its country code: +1 (212) 555-0123
    rf"\+1{_GAP}?\(?[2-9][0-9]{{2}}\)?{_GAP}{{0,2}}[2-9][0-9]{{2}}{_GAP}?[0-9]{{4}}{_EXTENSION}{_STOP}",
    # any other country's: +49 (0)30 901820
    rf"\+(?P<international>{_COUNTRY}\)?(?:{_GAPS}{{0,3}}[0-9]){{5,13}}){_EXTENSION}{_END}",
    # the same dialled: 0049 30 901820
    rf"00{_COUNTRY}[- /()]{{1,3}}[0-9](?:[- /()]{{0,3}}[0-9]){{5,11}}{_STOP}",
    rf"(?P<dialled>00[ -]{_COUNTRY}[- /()]{{1,3}}[0-9](?:[- /()]{{0,3}}[0-9]){{5,11}}){_STOP}",
    # the same without its sign: 86-10-62751234
    rf"86-(?:0?[1-9][0-9]{{1,2}})-[2-9][0-9]{{6,7}}{_STOP}",
    # North American: (212) 555-0123, 212-555-0123, 1-800-555-0100; spaces alone don't tell it from a table
    rf"(?:1[-. ])?(?:\([2-9][0-9]{{2}}\){_GAP}?[2-9][0-9]{{2}}[-. ]"
    rf"|[2-9][0-9]{{2}}(?P<dash>[-.])[2-9][0-9]{{2}}(?P=dash))[0-9]{{4}}{_EXTENSION}{_STOP}",
    # Chinese service numbers: 400-810-8888
    rf"[48]00-(?:[0-9]{{3}}-[0-9]{{4}}|[0-9]{{4}}-[0-9]{{3}}|[0-9]{{7}}){_STOP}",
    # Chinese landline and its like: 010-62751234, (0571)87654321-801
    rf"(?:\(0[1-9][0-9]{{1,2}}\) ?|0[1-9][0-9]{{1,2}}[- \u2014])[2-9][0-9]{{2,3}}[- ]?[0-9]{{4}}"
    rf"(?:-[0-9]{{1,5}}|{_EXTENSION}){_STOP}",
    # French: 01 99 00 12 34, and not a stretch of a row of numbers
    rf"(?<!{_HEX} )(?<!{_HEX}  )0[1-9](?P<pair>[-. ])[0-9]{{2}}(?:(?P=pair)[0-9]{{2}}){{3}}{_END}"
    rf"(?!(?P=pair)[0-9]| {{1,2}}{_HEX}{{1,2}}{_END})",
    # Japanese, Korean, Australian: 03-1234-5678
    rf"0[1-9](?P<short>[- ])[0-9]{{4}}(?P=short)[0-9]{{4}}{_STOP}",
    # British, German and others with a trunk zero: 020 7946 0123, 030/901820
    rf"(?P<national>\(?0[1-9][0-9]{{1,3}}\)?[-/ ]{{1,2}}[0-9]{{3,8}}(?:[- ][0-9]{{2,4}}){{0,2}}){_STOP}",
    # seven digits or more that a word before says to be one: Tel. 901820 7
    rf"(?P<labelled>(?<![0-9]{_GAPS})(?<![0-9]{_GAPS}{_GAPS})\(?[0-9](?:{_GAPS}{{0,2}}[0-9]){{6,14}})"
    rf"(?!{_GAPS}{{0,2}}[0-9]){_STOP}",
)
PHONE = re.compile(rf"(?<![A-Za-z0-9_+¥￥$€£])(?<![0-9][-.,])(?:{'|'.join(_PHONES)})(?! ?[元万萬亿億块塊])")
_DATE = re.compile(r"\(?(?:19|20)[0-9]{2}[-./ ]?(?:0?[1-9]|1[0-2])[-./ ]?[0-3]?[0-9](?![0-9])")
_NOT_DIGITS = re.compile(r"[^0-9]+")
_NOT_SIGNS = re.compile(r"[^0-9A-Z]+")
_DIGITS_OF_IBAN = 0.65


def digits(text: str) -> str:
    """Return the digits of a number written with separators."""
    return _NOT_DIGITS.sub("", text)


def _is_email(match: re.Match[str]) -> bool:
    """Refuse pictures for screens of high density (`icon@2x.png`), Git's remotes and private hosts.

    `git@host:path` and `root@127.0.0.1` are nobody's address.
    """
    text, start, end = match.string, match.start(), match.end()
    if match["host"] and not checks.is_public_ipv4(match["host"]):
        return False
    remote = text.startswith("git@", start) and text.startswith(":", end)
    return not remote and not _PICTURE.search(text, start, end)


def _is_ipv4(match: re.Match[str]) -> bool:
    return checks.is_public_ipv4(match[0]) and not VERSION.before(match.string, match.start())


def _is_card(match: re.Match[str]) -> bool:
    if not checks.is_payment_card(digits(match[0])):
        return False
    if match["labelled"]:
        return CARD_WORDS.before(match.string, match.start())
    return not NUMBERED.before(match.string, match.start())


def _is_chinese_id(match: re.Match[str]) -> bool:
    """Refuse numbers of 15 digits that may be a card's, or whose word says that they are another's."""
    if not match["old"]:
        return checks.is_chinese_id(re.sub("[ -]", "", match[0]))
    if not checks.is_old_chinese_id(match[0]) or checks.is_payment_card(match[0]):
        return False
    text, start = match.string, match.start()
    return IDENTITY.before(text, start) or not NUMBERED.before(text, start)


def _is_spelled(match: re.Match[str]) -> bool:
    """Refuse sentences: `look at the dot com`, `we met at example.com`."""
    if not match["plain"]:
        return True
    local, first, last = (match[name].lower() for name in ("local", "first", "last"))
    if local in _NO_LOCAL_PART.split() or first in _NO_DOMAIN.split() or last not in _SPELLED_ENDS.split():
        return False
    return "." not in match["domain"] or MAIL.before(match.string, match.start())


def _is_iban(match: re.Match[str]) -> bool:
    """Refuse what has more letters than an account in small letters has: a hash."""
    account = _NOT_SIGNS.sub("", match[0].upper())
    plain = match[0] == match[0].upper() or len(digits(account)) >= _DIGITS_OF_IBAN * len(account)
    return plain and checks.is_iban(account)


def _is_key(match: re.Match[str]) -> bool:
    """Refuse what stands for a key in examples (`xxxx`) and words that begin like one (`sk-learn-…`)."""
    secret = match[match.lastgroup] if match.lastgroup else None
    if secret is None:
        return True  # its form leaves no doubt
    if match.lastgroup in ("openai", "slack") and not re.search("[0-9]", secret):
        return False
    if match.lastgroup == "openai" and not _SOLID.search(secret):
        return False
    return len(set(secret)) >= 6


def _is_phone(match: re.Match[str]) -> bool:
    found, count = match[0], len(digits(match[0]))
    # 02134-1234 is an American postcode, unless a word says that it is a telephone's.
    weak = match["national"] and not (9 if "/" in found else 10) <= count <= 12
    if match["labelled"] or weak:
        return count <= 15 and TELEPHONE.before(match.string, match.start()) and not _DATE.match(found)
    if match["international"]:
        number = len(digits(match["international"]))  # without the extension
        return 8 <= number <= 15 and not re.fullmatch(r"\+[0-9]+\.[0-9]+", found)
    if match["dialled"] and not re.search(r"[0-9]{3}", found):
        return False  # 00 44 20 79 46: a row of bytes
    if match["pair"] and int(found[-2:]) - int(found[:2]) == 4:
        return False  # 01 02 03 04 05: a row of numbers
    return found.startswith("+") or not NUMBERED.before(match.string, match.start())


@dataclass(frozen=True)
class Rule:
    """One form of personal data.

    Attributes:
        kind: what a match is counted as and replaced by.
        pattern: what it looks like.
        accepts: whether a match of the pattern is one indeed.
    """

    kind: Kind
    pattern: re.Pattern[str]
    accepts: Callable[[re.Match[str]], bool]


RULES = (
    Rule("api_key", API_KEY, _is_key),
    Rule("email", EMAIL, _is_email),
    Rule("iban", IBAN, _is_iban),
    Rule("chinese_id", CHINESE_ID, _is_chinese_id),
    Rule("card", CARD, _is_card),
    Rule("ip", IPV6, lambda match: checks.is_public_ipv6(match[0])),
    Rule("ip", IPV4, _is_ipv4),
    Rule("phone", PHONE, _is_phone),
    Rule("email", SPELLED, _is_spelled),
)
"""All rules. Where matches overlap, the earlier rule's stands: the surer form comes first."""
