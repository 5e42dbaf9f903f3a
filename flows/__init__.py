"""Deployable compositions: one flow a file, recipes beside them.

Importing `tasks` first switches usage reporting off before Prefect is imported.
"""

import tasks

__all__ = ["tasks"]
