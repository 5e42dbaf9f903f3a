"""One hierarchy of errors, each of which a person reads as one line.

Whatever goes wrong because of what a person gave (a recipe, a path, a bucket,
a machine too small) is an `LmtrainError`; its text says what is wrong, where,
and what would be right. Anything else that is raised is a defect of ours and
keeps its traceback.
"""


class LmtrainError(Exception):
    """Base of all errors that are told to a person in one line."""


class RecipeError(LmtrainError, ValueError):
    """A recipe asks for something that can't be built."""


class SourceError(LmtrainError):
    """A source is missing, unreadable or empty."""


class ResourceError(LmtrainError):
    """The machine or cluster hasn't what the recipe's resources ask for."""


class StageError(LmtrainError):
    """A stage can't give a usable artifact, such as when nothing is left after filtering."""


class LostWorkerError(StageError):
    """A worker of a training is late or gone: whoever started the workers may start them again."""


class DivergedError(StageError):
    """A training's loss or gradient isn't finite."""


class StorageError(LmtrainError):
    """Storage failed in a way that a later try may not: worth a retry."""


class CorruptArtifactError(LmtrainError):
    """A file isn't what its manifest says it is."""


class CancelledError(LmtrainError):
    """A person stopped the run."""
