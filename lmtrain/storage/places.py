"""Places and what their URLs mean: a local path, s3://, https://, hf:// or package://.

In: a URL as a recipe gives it. Out: an absolute one, and the file system that it lies in.
"""

import glob
import importlib.util
import os
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import fsspec

from lmtrain.errors import SourceError

PACKAGE_SCHEME = "package://"
HUB_SCHEME = "hf://"
WEB_SCHEMES = ("http://", "https://")

CONNECT_SECONDS = 5
ANSWER_SECONDS = 60
"""How long one try waits for an S3 server; a part of an upload (50 MB) must be through by then."""


def is_remote(url: str) -> bool:
    """Tell whether a URL names another system than the local disk."""
    return "://" in url and not url.startswith("file://")


def is_web(url: str) -> bool:
    """Tell whether a file lies on a web server, of which many can't give a piece of it."""
    return url.startswith(WEB_SCHEMES)


def resolve(url: str) -> str:
    """Return an absolute URL or local path.

    `package://name/path` becomes the package's folder, and hf:// a folder of the hub's cache where
    the hub may not be asked.

    Raises:
        SourceError: the package isn't installed, or the data set isn't in the cache.
    """
    if url.startswith(PACKAGE_SCHEME):
        name, _, path = url.removeprefix(PACKAGE_SCHEME).partition("/")
        return str(package_folder(name) / path)
    if url.startswith(HUB_SCHEME) and _hub_is_offline():
        return _hub_cached(url)
    if is_remote(url):
        return url.rstrip("/")
    return os.path.abspath(os.path.expanduser(url.removeprefix("file://")))


def _hub_is_offline() -> bool:
    from huggingface_hub import is_offline_mode

    return is_offline_mode()


def _hub_cached(url: str) -> str:
    """Return where the hub's cache keeps a file or folder of a data set."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    kind, _, rest = url.removeprefix(HUB_SCHEME).partition("/")
    owner, name, *path = [*rest.split("/"), ""]
    name, _, revision = name.partition("@")
    if kind != "datasets" or not name:
        raise SourceError(f"{url} names no data set: it should be like hf://datasets/owner/name/path")
    try:
        folder = snapshot_download(
            f"{owner}/{name}", repo_type="dataset", revision=revision or None, local_files_only=True
        )
    except LocalEntryNotFoundError:
        raise SourceError(
            f"{owner}/{name} isn't in the Hugging Face cache of this machine and HF_HUB_OFFLINE is set: "
            "download it first, or unset that"
        ) from None
    return "/".join([folder, *path]).rstrip("/")


def package_folder(name: str) -> Path:
    """Return the folder of an installed package, without importing it.

    Raises:
        SourceError: no such package is installed.
    """
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(f"package {name!r} is not installed here: pip install it, or leave it out")
    return Path(next(iter(spec.submodule_search_locations)))


def package_version(name: str) -> str:
    """Return the version of the distribution that an import name belongs to."""
    distributions = _distributions().get(name, [name])
    return metadata.version(distributions[0])


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Return the distributions of each import name: reads every package's metadata, so once is enough."""
    return metadata.packages_distributions()


def join(base: str, *parts: str) -> str:
    """Join URL parts with single slashes."""
    return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts)])


def filesystem(url: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL and the path in it; S3 is waited for (`patience`)."""
    url = resolve(url)
    if is_s3(url):
        from lmtrain.storage.patience import PatientS3  # imports botocore, which local work doesn't need

        return PatientS3(**client_options(url, patient=True)), str(PatientS3._strip_protocol(url))
    return fsspec.core.url_to_fs(url, **client_options(url, patient=True))


def is_s3(url: str) -> bool:
    """Tell whether a URL names an S3 server."""
    return url.startswith(("s3://", "s3a://"))


def client_options(url: str, *, patient: bool) -> dict[str, Any]:
    """Return how a storage client is set up; new dicts each time, because botocore writes into them.

    Listings are never cached: other processes write to the same folders.
    """
    if not is_remote(url):
        return {}
    options: dict[str, Any] = {"use_listings_cache": False}
    if is_s3(url):
        options["config_kwargs"] = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": ANSWER_SECONDS if patient else CONNECT_SECONDS,
            "retries": {"mode": "standard", "max_attempts": 0},
        }
    return options


def fixed_part(pattern: str) -> str:
    """Return the part of a pattern before its first folder with a wildcard."""
    parts = pattern.split("/")
    fixed = []
    for part in parts:
        if glob.has_magic(part):
            return "/".join([*fixed, ""])
        fixed.append(part)
    return pattern


def in_one_line(error: Exception) -> str:
    """Return what an error says, without its file, which is told beside it."""
    told = error.strerror if isinstance(error, OSError) and error.filename else str(error)
    return " ".join((told or type(error).__name__).split())
