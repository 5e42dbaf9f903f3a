"""`ray start`, without the part that calls other machines even where usage reporting is off.

The dashboard's module `UsageStatsHead` asks the metadata services of three
clouds whether it runs there, and in a head begun by `ray start` it tells Ray's
makers that it has been disabled. No setting prevents either, so this program
has the dashboard load all modules but that one. Arguments are `ray`'s own.
"""

from typing import Any

from ray._private import ray_constants, services
from ray.dashboard.subprocesses.module import SubprocessModule
from ray.dashboard.utils import DashboardHeadModule, get_all_modules
from ray.scripts import scripts

REPORTS = "UsageStatsHead"


def dashboard_modules() -> list[str]:
    """Return the names of the dashboard's modules, without the one that reports."""
    classes = [*get_all_modules(DashboardHeadModule), *get_all_modules(SubprocessModule)]
    return sorted({one.__name__ for one in classes} - {REPORTS})


def main() -> None:
    """Run Ray's command line; a dashboard that it starts doesn't report."""
    start = services.start_ray_process

    def start_quietly(command: list[str], process_type: str, *arguments: Any, **options: Any) -> Any:
        if process_type == ray_constants.PROCESS_TYPE_DASHBOARD:
            command = [*command, f"--modules-to-load={','.join(dashboard_modules())}"]
        return start(command, process_type, *arguments, **options)

    services.start_ray_process = start_quietly
    scripts.main()


if __name__ == "__main__":
    main()
