"""Names of packages taken out of docstrings, so that a classifier must read the rest.

Masked are, for every package of the source and in every docstring:

- its import name, in any case, also within identifiers and dotted paths
  (`numpy.linalg`, `to_numpy`, `NumPy`, `torchvision`); a name of fewer than
  five letters only where no other letter touches it (`ray`, but not `array`);
- its other names (`scikit-learn`, `PyTorch`), in the same way;
- the short names under which it is imported by custom, where they stand for a
  module (`np.`, `import pandas as pd`).

What is left of a path (`linalg.svd`) stays: it is the text's subject.
"""

import re
from collections.abc import Callable, Iterable

MASK = "package"

OTHER_NAMES = {
    "PIL": ("pillow",),
    "bs4": ("beautifulsoup",),
    "cv2": ("opencv",),
    "datasets": ("hugging-face",),
    "matplotlib": ("pyplot", "pylab", "mpl_toolkits"),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn",),
    "torch": ("pytorch",),
    "transformers": ("hugging-face",),
    "yaml": ("pyyaml",),
}
"""What else a package is called. A hyphen also matches a space, an underscore or nothing."""

MODULE_NAMES = {
    "jax": ("jnp",),
    "matplotlib": ("plt", "mpl"),
    "networkx": ("nx",),
    "numpy": ("np",),
    "pandas": ("pd",),
    "polars": ("pl",),
    "pyarrow": ("pa", "pc", "pq"),
    "scipy": ("sp",),
    "seaborn": ("sns",),
    "statsmodels": ("sm",),
    "tensorflow": ("tf",),
    "xarray": ("xr",),
}
"""Short names under which packages are imported by custom."""

WHOLE_WORDS_BELOW = 5


def masker(packages: Iterable[str]) -> Callable[[str], str]:
    """Return a function that replaces the names of these packages in a text by `package`."""
    known = sorted(set(packages))
    names = {name for package in known for name in (package, *OTHER_NAMES.get(package, ()))}
    modules = sorted({name for package in known for name in MODULE_NAMES.get(package, ())})
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    long = re.compile("|".join(map(_pattern, longest_first)) or r"(?!)", re.IGNORECASE)
    either = "|".join(modules) or r"(?!)"
    short = re.compile(rf"(?<!\w)(?:{either})(?=\.\w)|(?<=\bas )(?:{either})\b")

    def mask(text: str) -> str:
        return short.sub(MASK, long.sub(MASK, text))

    return mask


def _pattern(name: str) -> str:
    pattern = re.escape(name).replace(r"\-", "[-_ ]?")
    return pattern if len(name) >= WHOLE_WORDS_BELOW else rf"(?<![A-Za-z]){pattern}(?![A-Za-z])"
