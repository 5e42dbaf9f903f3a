"""One Prefect task per stage: its name, its retries, its artifacts. No logic."""
