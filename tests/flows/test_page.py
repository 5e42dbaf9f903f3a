"""A person opens the page, fills the form and presses Submit: the line runs, and its results stand there."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SUBMIT_SECONDS = 60
LINE_SECONDS = 420
"""A line takes about a minute on two free cores."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no browser here; get it by: apt-get install chromium"),
]


def wait_for(condition, seconds: float, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + seconds
    while not condition():
        told = log.read_text(errors="replace")[-3000:]
        assert process.poll() is None, f"`flows serve` ended: {told}"
        assert time.monotonic() < end, f"not in time: {told}"
        time.sleep(0.5)


def started_below(marker: str) -> list[str]:
    """Return the commands of all processes whose environment holds a marker, but for this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if command:  # an ended process that nobody waited for has none
                        found.append(command)
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                continue
    return found


@pytest.fixture(scope="module")
def served(prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The page's address, with the tiny recipe served; afterwards nothing of it may be left."""
    log = tmp_path_factory.mktemp("serve") / "log"
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as short:  # Ray's sockets want a short path
        environment = {**os.environ, "PREFECT_API_URL": prefect_api, "RAY_TMPDIR": short}
        environment.pop("RAY_ADDRESS", None)
        command = [sys.executable, "-m", "flows", "serve", "--recipes", str(TOP / "tests" / "recipes")]
        with log.open("w") as output:
            process = subprocess.Popen(
                command, cwd=TOP, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            wait_for(lambda: "Ctrl-C ends" in log.read_text(), 120, process, log)
            yield prefect_api.removesuffix("/api"), log
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        end = time.monotonic() + 15
        while started_below(short) and time.monotonic() < end:
            time.sleep(0.2)
        assert started_below(short) == []
        assert process.returncode == 0


@pytest.fixture
def page(tmp_path: Path):
    """A browser's page; what it asked of other machines than this one is a failure."""
    from playwright.sync_api import sync_playwright

    beyond: list[str] = []
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path / "profile"),
            executable_path=str(CHROMIUM),
            args=FLAGS,
            viewport={"width": 1300, "height": 1000},
        )
        opened = context.new_page()
        opened.on(
            "request",
            lambda request: (
                beyond.append(request.url)
                if not request.url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:", "data:"))
                else None
            ),
        )
        yield opened
        context.close()
    assert beyond == []


def open_form(page, address: str) -> None:
    page.goto(f"{address}/deployments")
    page.get_by_role("link", name="tiny").first.click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()
    page.get_by_text("Where artifacts go").wait_for()


def field(page, description: str):
    """Return the input below a description."""
    return page.locator("label, div", has_text=description).locator("textarea, input").first


def test_a_run_from_the_form_completes_and_shows_its_results(served, page, tmp_path):
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

    address, log = served
    root = tmp_path / "runs"
    open_form(page, address)
    root_field = page.locator("textarea").nth(1)
    assert root_field.input_value() == "runs/tiny"
    root_field.fill(str(root))
    page.locator("input:visible").first.fill("from-the-page")

    def newest():
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=["tiny"])))
        return runs[0] if runs else None

    end = time.monotonic() + SUBMIT_SECONDS
    while newest() is None:  # a page that is still drawing can lose a click
        assert time.monotonic() < end, page.locator("body").inner_text()
        page.get_by_role("button", name="Submit").click()
        page.wait_for_timeout(10_000)
    page.wait_for_url("**/deployments/deployment/*tab=Runs*")

    end = time.monotonic() + LINE_SECONDS
    while (run := newest()) is None or not run.state.is_final():
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(2)
    assert run.state.is_completed(), f"{run.state.message}\n{log.read_text()[-3000:]}"
    assert list(root.glob("report/tiny-*/attempts/*/report.html"))

    page.goto(f"{address}/runs/flow-run/{run.id}")
    page.get_by_text("Completed").first.wait_for()
    page.get_by_text("Artifacts", exact=True).first.click()
    for key in ("curate-python-english-funnel", "pretrain-qwen3-32x2-clm-curves", "report-tiny-report"):
        page.get_by_text(key).first.wait_for()


def test_a_value_out_of_bounds_is_refused_by_the_form(served, page):
    address, _ = served
    open_form(page, address)
    seed = page.locator("input[type=number]:visible").first
    seed.fill("-5")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_timeout(1500)
    assert "/run" in page.url, "the form is still there"
    assert page.get_by_text("minimum").first.is_visible()
