"""Personal data: what each kind is, that the fast search finds what the plain one does, in linear time."""

import re
from itertools import pairwise
from re import _parser
from types import FunctionType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lmtrain.curation.privacy import candidates, checks
from lmtrain.curation.privacy.config import KINDS, PrivacyConfig
from lmtrain.curation.privacy.finding import Match, find, find_plain
from lmtrain.curation.privacy.patterns import RULES
from lmtrain.curation.privacy.treatment import PLACEHOLDERS, treat
from lmtrain.text.characters import code_points

REPLACE = PrivacyConfig(action="replace")

PIECES = re.split(
    r"\|",
    "@|a@|joe@x.com|foo|.|..|-|_|=|'|[|]|x.com|.de|é|中文|git@h.io:|"
    "icon@2x.png|@[8.8.8.8]|@[IPv6:2001::1]|@8.8.8.8|"
    "8.8.8.8|10.0.0.1|1.|255|256|v|version |.tar|-rc|::|:|2001:|4860|"
    "2606:4700::1111|2001:db8::1|3fff:|ffff| |  |"
    "\n|\t|\u00a0|\u2013|/|(|)|+|+1|+86|00|0|1|138|0013|8000|"
    "13800138000|212|555|0100|(212) |555-0100|010-62751234|"
    "电话|tel |phone no. |订单号|order |¥|元|#|ext 12|01 42 68 53 00|4111|"
    "1111|4111111111111111|3782 |822463 10005|"
    "5500-0000-0000-0004|110105194912310021|11010519491231002|X|x|"
    "GB82 WEST 1234 5698 7654 32|DE89|sk-|sk_live_|"
    "DE89370400440532013000|AKIA|AKIAIOSFODNN7EXAMPLE|ghp_|"
    "16C7e42F292c6912E7710c838347Ae178B4a|xoxb-12|"
    "eyJhbGciOiJIUzI1NiJ9|-----BEGIN |RSA |PRIVATE KEY-----|-----END |\x00|\ud800|\U0001f600|٣|İ|ſ|"
    "<EMAIL>|<PHONE>|,|，| at |(at)| AT | [at] |（at）| dot |(dot)|. dot |joe at x dot com|mail |"
    "１３８|００１３|８０００|＠|ａ|．|（０１０）|（86）|00 44 |86-10-|—|"
    "110101650513123|110101 19900307 1233|gb82 |west |de89|npm_|pypi-AgE|4111.1111.1111.1111|card |%eth0",
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
NUMBERS = st.text(st.sampled_from("0123456789" * 2 + "18 -.+()/ "), max_size=50)


def kinds_in(text):
    return [(text[start:end], kind) for start, end, kind in find(text)]


@settings(max_examples=500, deadline=None)
@given(st.one_of(TEXTS, NUMBERS, st.text(max_size=30)))
@example("a@x.com-+foo@y.de")
@example("joe@x.com_'a@y.de")
@example("joe@x.com_b.a@y.de")
@example("001.  (212) 0100\norder")
def test_the_fast_search_finds_what_the_plain_one_finds(text):
    assert find(text) == find_plain(text)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_no_match_of_a_pattern_begins_where_there_is_no_candidate(text):
    rules, places = candidates.candidates(code_points(text))
    begun = set(zip(rules.tolist(), places.tolist(), strict=True))
    for number, rule in enumerate(RULES):
        if number != candidates.EMAIL:  # whose candidates are of an `@`, which two matches may share
            assert all((number, match.start()) in begun for match in rule.pattern.finditer(text))


@settings(max_examples=300, deadline=None)
@given(st.one_of(TEXTS, NUMBERS))
@example("a@b.version 8.8.8.8")
@example("foo@x.com_b@y.de")
def test_treating_a_treated_text_changes_nothing(text):
    treated = treat(text, REPLACE)
    again = treat(treated.text, REPLACE)
    assert (again.text, again.counts) == (treated.text, {})


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.sets(st.sampled_from(KINDS)))
def test_matches_are_sorted_apart_and_of_the_kinds_asked_for(text, kinds):
    matches = find(text, kinds)
    assert all(one.end <= other.start for one, other in pairwise(matches))
    assert {match.kind for match in matches} <= kinds
    assert all(match.start < match.end for match in matches)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("中文foo@x.com中文", ["foo@x.com"]),
        ("a@b@c.de", ["b@c.de"]),
        ("foo..bar@x.com .foo@x.com", ["bar@x.com", "foo@x.com"]),
        ("foo.@x.com", ["foo.@x.com"]),
        ("foo@x.com/bar@y.com", ["foo@x.com", "bar@y.com"]),
        ("http://u:p@host.com/", ["p@host.com"]),
        ("(joe@8.8.8.8) root@10.0.0.1", ["joe@8.8.8.8"]),
        ("a@x.com-, a@x.com.", ["a@x.com", "a@x.com"]),
        ("a@b_c.com a@-b.com a@localhost a@1.2 a@b.c", []),
        ("git@github.com:o/r icon@2x.png", []),
    ],
)  # fmt: skip
def test_addresses(text, found):
    assert kinds_in(text) == [(address, "email") for address in found]


NUMBERS_OF_CARDS = ["4111 1111 1111 1111", "378282246310005", "3782-822463-10005", "6205500000000000004"]


@pytest.mark.parametrize("number", NUMBERS_OF_CARDS)
def test_cards_pass_luhn_and_have_an_issuer(number):
    assert kinds_in(f"卡{number}号") == [(number, "card")]
    assert kinds_in(f"卡{number[:-1]}9号") == []


def test_an_article_number_of_thirteen_digits_is_not_a_card():
    assert checks.luhn("4222222222222")
    assert checks.is_payment_card("4222222222222")
    assert not checks.is_payment_card("4000000000006")  # checks by both rules


def test_checksums_of_the_standards_own_examples():
    assert checks.is_chinese_id("11010519491231002X")  # GB 11643's
    assert not checks.is_chinese_id("110105194912310021")
    assert not checks.is_chinese_id("11010519490231002X")  # no 31 February
    assert checks.is_iban("GB82WEST12345698765432")
    assert not checks.is_iban("GB82WEST1234569876543")
    assert not checks.is_iban("ZZ82WEST12345698765432")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("8.8.8.8:53 和8.8.8.8，", ["8.8.8.8", "8.8.8.8"]),
        ("8.8.8.1-8.8.8.9", ["8.8.8.1", "8.8.8.9"]),
        ("v8.8.8.8 1.2.3.4.5 999.1.1.1 12345.6.7.8 08.8.8.8 version: 8.8.8.8 版本8.8.8.8", []),
        ("10.8.8.8 100.64.1.1 192.0.0.8 198.19.0.1 224.0.0.1 255.255.255.255", []),
        ("[2001:4860:4860::8888]:53 2606:4700::1111.", ["2001:4860:4860::8888", "2606:4700::1111"]),
        ("2001:db8::1 3fff::1 fe80::1 fd00::1 ::1 ff02::1 2019:10:05", []),
        ("::ffff:8.8.8.8", ["8.8.8.8"]),
    ],
)  # fmt: skip
def test_public_addresses_are_found_and_others_kept(text, found):
    assert kinds_in(text) == [(address, "ip") for address in found]


def test_the_surer_kind_stands_where_two_overlap():
    assert kinds_in("13800138000@qq.com") == [("13800138000@qq.com", "email")]
    assert kinds_in("tel 4111 1111 1111 1111") == [("4111 1111 1111 1111", "card")]
    assert kinds_in("joe@[8.8.8.8]") == [("joe@[8.8.8.8]", "email")]


def test_what_is_not_looked_for_hides_nothing():
    assert find("13800138000@qq.com", ["phone"]) == [Match(0, 11, "phone")]
    assert find("joe@[8.8.8.8]", ["ip"]) == [Match(5, 12, "ip")]


def test_matches_are_replaced_by_the_placeholder_of_their_kind_and_counted():
    treated = treat("写信给ann@example.org或bob@example.org，电话13800138000。", REPLACE)
    assert treated.text == "写信给<EMAIL>或<EMAIL>，电话<PHONE>。"
    assert treated.counts == {"email": 2, "phone": 1}
    assert treated.dropped is None
    assert PLACEHOLDERS["chinese_id"] == "<CHINESE_ID>"


def test_nothing_is_looked_for_by_default():
    assert treat("ann@example.org", PrivacyConfig()) == treat("ann@example.org", PrivacyConfig(action="off"))
    assert treat("ann@example.org", PrivacyConfig()).counts == {}
    assert PrivacyConfig().addressed() == {}


def test_a_report_leaves_the_text():
    treated = treat("ann@example.org", PrivacyConfig(action="report"))
    assert (treated.text, treated.counts) == ("ann@example.org", {"email": 1})


def test_each_kind_may_be_treated_in_its_own_way():
    config = PrivacyConfig(action="replace", actions={"ip": "off", "card": "drop", "phone": "report"})
    treated = treat("ann@example.org 8.8.8.8 13800138000", config)
    assert treated.text == "<EMAIL> 8.8.8.8 13800138000"
    assert treated.counts == {"email": 1, "phone": 1}
    dropped = treat("ann@example.org 4111111111111111 5555555555554444", config)
    assert dropped.text.startswith("ann@")
    assert dropped.dropped == "card"
    assert dropped.counts["card"] == 2


def test_an_unknown_kind_or_action_is_refused_by_name():
    with pytest.raises(ValidationError, match="actions"):
        PrivacyConfig(actions={"fingerprint": "drop"})
    with pytest.raises(ValidationError, match="action"):
        PrivacyConfig(action="erase")


class Counting(list):
    """A list that counts how often an element is read."""

    reads = 0

    def __getitem__(self, place):
        self.reads += 1
        return list.__getitem__(self, place)


def uncompiled():
    """Return the functions of the module of kernels as they are written, so that they take a `Counting`."""
    namespace = dict(vars(candidates))
    for name, function in vars(candidates).items():
        if hasattr(function, "py_func"):
            namespace[name] = FunctionType(function.py_func.__code__, namespace)
    return namespace


HOSTILE = re.split(
    r"\|",
    "-a|a|@|a@|a.|..|1|1 |1.|12-|0 |(|(1|+1|+|2001:|:|AB12|A1|a@a.|"
    "-----BEGIN PRIVATE KEY-----\n|eyJaaaaaaaaaa.|"
    "sk-|_|éa|tel |a at b dot |(at)a|a at a.|a@x.com|8.8.8.8|1234 |中1|13800138000|- |--|"
    "-----B|xoxb-|a@b.cc_|github_|ghp_a",
)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_candidates_cost_a_bounded_number_of_looks_at_each_character(hostile):
    points = Counting(code_points(hostile * (6_000 // len(hostile))))
    uncompiled()["candidates"](points)
    assert points.reads < 300 * len(points)


CROSSED = {
    candidates.API_KEY: re.compile(r"-----[^-]*-----(?:[^-]|-(?!----))*|[\w-]*(?:\.[\w-]*){0,2}"),
    candidates.EMAIL: re.compile(r"[^@]*@[^@]*"),
}
"""What the two patterns without a longest match can cross from where they begin, at most."""


def widest(rule):
    """Return the characters of the longest match of a pattern."""
    return _parser.parse(rule.pattern.pattern, rule.pattern.flags).getwidth()[1]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_patterns_cross_each_character_a_bounded_number_of_times(hostile):
    text = hostile * (60_000 // len(hostile))
    rules, places = candidates.candidates(code_points(text))
    crossed = 0
    for number, place in zip(rules.tolist(), places.tolist(), strict=True):
        stretch = CROSSED.get(number)
        crossed += len(stretch.match(text, place)[0]) if stretch else widest_of[number]
    assert crossed < 110 * len(text)


widest_of = [widest(rule) for rule in RULES]


def test_every_other_pattern_has_a_longest_match():
    assert all(widest_of[number] < 256 for number in range(len(RULES)) if number not in CROSSED)
