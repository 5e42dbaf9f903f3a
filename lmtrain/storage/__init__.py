"""Files wherever they lie: a local path, s3://, https://, hf:// or package://.

hf:// names data sets of the Hugging Face hub, package:// data that an installed
package ships. Everything goes through fsspec, with credentials from the usual places of each
system (for S3 the AWS environment, profile files or instance role, and
`AWS_ENDPOINT_URL` for another server; for the hub `HF_TOKEN` or `hf auth login`,
and `HF_ENDPOINT`). Where `HF_HUB_OFFLINE` is set, hf:// is what the hub's cache
on this machine holds.
"""

from lmtrain.storage.checks import check_reachable, check_writable
from lmtrain.storage.files import (
    BLOCK,
    cache_folder,
    delete,
    download,
    exists,
    file_sha256,
    move_in,
    read_bytes,
    remembered_sha256,
    size,
    told_when_full,
    walk,
    write_bytes,
    write_exclusive,
)
from lmtrain.storage.listing import SourceFile, list_files, told_as_source_error
from lmtrain.storage.places import (
    HUB_SCHEME,
    filesystem,
    is_remote,
    is_web,
    join,
    package_folder,
    package_version,
    resolve,
)

__all__ = [
    "BLOCK",
    "HUB_SCHEME",
    "SourceFile",
    "cache_folder",
    "check_reachable",
    "check_writable",
    "delete",
    "download",
    "exists",
    "file_sha256",
    "filesystem",
    "is_remote",
    "is_web",
    "join",
    "list_files",
    "move_in",
    "package_folder",
    "package_version",
    "read_bytes",
    "remembered_sha256",
    "resolve",
    "size",
    "told_as_source_error",
    "told_when_full",
    "walk",
    "write_bytes",
    "write_exclusive",
]
