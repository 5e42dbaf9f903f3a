"""What a person sees of the work: bars in a terminal, lines where there is none."""

from lmtrain import watch as watching
from lmtrain.watch import Clock, TerminalWatch, told_figures


def test_where_no_terminal_is_a_line_says_how_far_it_is_and_what_is_left(capsys, monkeypatch):
    monkeypatch.setattr(watching, "SECONDS_BETWEEN_LINES", 0.0)
    watch = TerminalWatch("ingest python", interactive=False)
    for done in (0, 1, 2):
        watch.progress(done, 4, "shards")
    watch.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "ingest python" in lines[-1]
    assert "2/4" in lines[-1]


def test_lines_come_ten_seconds_apart(capsys):
    watch = TerminalWatch("ingest", interactive=False)
    for done in range(1000):
        watch.progress(done, 1000, "shards")
    watch.close()
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_with_figures(capsys):
    watch = TerminalWatch("pretrain", interactive=True)
    watch.progress(0, 10, "steps")
    watch.figures(5, loss=1.23456, secret_figure=7)
    watch.progress(10, 10, "steps")
    watch.close()
    shown = capsys.readouterr().err
    assert "10/10" in shown
    assert "loss 1.235" in shown
    assert "secret_figure" not in shown


def test_figures_stand_whole_or_not_at_all_and_validation_stays_until_the_next_look():
    known = {"loss": 1.8281, "bits_per_byte": 2.612, "tokens_per_second": 27335.1, "mfu": 0.412}
    whole = "loss 1.828 · 2.612 bits/byte · 27,335 tokens/s · MFU 41%"
    assert told_figures(known) == whole
    assert told_figures(known, len(whole) - 1) == "loss 1.828 · 2.612 bits/byte · 27,335 tokens/s"
    assert told_figures(known, 3) == ""
    looked = {"validation_loss": 2.0, "validation_bits_per_byte": 2.9}
    assert told_figures({**known, **looked}) == f"{whole} · validation 2.900 bits/byte"
    watch = TerminalWatch("pretrain", interactive=False)
    watch.progress(0, 10, "steps")
    watch.figures(10, validation_loss=2.0)
    watch.figures(20, loss=1.0)
    assert watch.bar is not None
    assert watch.bar.postfix == "loss 1.000 · validation loss 2.000"
    watch.close()


def test_a_new_unit_is_a_new_bar_and_what_was_there_counts_as_no_work(capsys):
    watch = TerminalWatch("curate", interactive=True)
    watch.progress(3, 5, "shards")
    assert watch.bar is not None
    assert watch.bar.initial == 3
    watch.progress(1, 2, "passes")
    assert (watch.bar.n, watch.bar.total) == (1, 2)
    watch.close()
    watch.close()


def test_what_begins_anew_is_a_new_bar(capsys):
    watch = TerminalWatch("finetune", interactive=True)
    watch.progress(60, 60, "steps")
    first = watch.bar
    watch.progress(0, 60, "steps")
    assert watch.bar is not first
    assert watch.bar is not None
    assert watch.bar.n == 0
    watch.close()


def test_a_line_of_a_worker_says_which_one(capsys):
    watch = TerminalWatch("pretrain", interactive=False)
    watch.log(1, "node-7", "loss is not a number")
    watch.log(-1, "node-8", "curate/part-0003: a bad line")
    watch.log(-1, "", "waiting for CPUs")
    assert capsys.readouterr().err.splitlines() == [
        "  [rank 1 on node-7] loss is not a number",
        "  [node-8] curate/part-0003: a bad line",
        "  waiting for CPUs",
    ]


def test_a_clock_is_due_once_in_its_time():
    assert not Clock(100).due()
    clock = Clock(0)
    assert clock.due()
    assert clock.due()
