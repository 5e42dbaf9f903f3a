"""Documents that are curated already, against which a new batch is compared: found before anything is made.

In: what `curate.earlier` names, and the root. Out: the manifests' addresses.
"""

from lmtrain import storage
from lmtrain.curation.config import CurateConfig, DeduplicationConfig
from lmtrain.errors import CorruptArtifactError, RecipeError
from lmtrain.manifest import Address, Manifest, lost_files, read_manifest

MANIFEST = "/manifest.json"


def earlier_documents(config: CurateConfig, root: str) -> list[Address]:
    """Return the addresses of the earlier documents, each once.

    Args:
        config: names them in `earlier`, relative to the root or as URLs below it.
        root: where artifacts lie; absolute.

    Raises:
        RecipeError: one isn't there whole, isn't documents, lies under another root, or was curated in a
            way that can't be compared with this one.
        StorageError: the root's server doesn't answer.
    """
    if config.earlier and storage.is_remote(root):
        storage.check_reachable(root)
    return list(dict.fromkeys(_found(given, config, root) for given in config.earlier))


def _found(given: str, config: CurateConfig, root: str) -> Address:
    field = f"curate.earlier: {given}"
    address = _address(given, root)
    url = address.url(root)
    if not storage.exists(url):
        raise RecipeError(f"{field} isn't there: no manifest at {url}")
    try:
        manifest = read_manifest(url)
    except CorruptArtifactError as error:
        raise RecipeError(f"{field}: {error}") from None
    lost = lost_files(root, address, manifest)
    if lost:
        raise RecipeError(f"{field} isn't whole: {lost[0]} is missing or cut short; curate it again")
    if not any(record.role == "signatures" for record in manifest.files):
        raise RecipeError(f"{field} has no signatures to compare with: curate it again")
    refuse_incomparable(config.deduplication, manifest, given)
    return address


def _address(given: str, root: str) -> Address:
    """Return the address that is meant, whether or not something is there."""
    folder = given.rstrip("/").removesuffix(MANIFEST)
    inside = folder if "://" in folder or folder.startswith(("/", "~")) else storage.join(root, folder)
    try:
        found, address = Address.parse(storage.resolve(inside) + MANIFEST)
    except CorruptArtifactError:
        raise RecipeError(
            f"curate.earlier: {given} is not an artifact: name it as documents/NAME-DIGEST, "
            "as lmtrain plan does"
        ) from None
    if found != root.rstrip("/"):
        raise RecipeError(
            f"curate.earlier: {given} lies under the root {found}, not under {root}: copy its folder there"
        )
    if address.kind != CurateConfig.kind:
        raise RecipeError(f"curate.earlier: {given} is of the kind {address.kind}, not documents")
    return address


def refuse_incomparable(config: DeduplicationConfig, manifest: Manifest, name: str) -> None:
    """Refuse earlier documents whose signatures were made in another way.

    Args:
        config: of the new batch.
        manifest: of the earlier documents.
        name: by which a person knows them.

    Raises:
        RecipeError: names the field and both values.
    """
    made = DeduplicationConfig.model_validate(manifest.config.get("deduplication", {}))
    for field in ("shingle_words", "bands", "rows"):
        own, other = getattr(config, field), getattr(made, field)
        if own != other:
            raise RecipeError(
                f"deduplication.{field} is {own}, but {other} in the earlier documents {name}: "
                f"set it to {other}, or curate those again"
            )
