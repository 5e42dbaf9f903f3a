"""One Prefect task per stage: its name, its retries, its artifacts. No logic.

Prefect reports usage unless it is told not to before it is imported. Importing
`lmtrain` sets what its client heeds (DO_NOT_TRACK); the server heeds the
switch below. Who wants to report can still set either.
"""

import os

import lmtrain

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

__all__ = ["lmtrain"]
