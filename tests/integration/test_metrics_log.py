"""metrics.jsonl: rows of valid JSON, kept whole, in order, and only up to where a run resumes."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from test_tracking import failing, python

from translate.errors import TranslateError
from translate.reporting.tracking import MetricsLog, read_metrics


class TestMetricsLog:
    def test_a_row_is_one_line_of_valid_json(self, tmp_path: Path) -> None:
        path, before = tmp_path / "run" / "metrics.jsonl", time.time()
        with closing(MetricsLog(path)) as log:
            log.log(100, {"generator/l1": 0.25, "nan": math.nan, "up": math.inf, "down": -math.inf})
        (line,) = path.read_text().splitlines()

        def refuse(word: str) -> None:
            raise AssertionError(f"{word} is not JSON")

        row = json.loads(line, parse_constant=refuse)
        assert before - 0.001 <= row.pop("time") <= time.time() + 0.001  # it is rounded
        assert row == {"step": 100, "generator/l1": 0.25, "nan": "NaN", "up": "Infinity", "down": "-Infinity"}

    def test_rows_read_back_as_they_were(self, tmp_path: Path) -> None:
        path = tmp_path / "metrics.jsonl"
        values = {"a": 1 / 3, "b": 1e-300, "up": math.inf, "down": -math.inf}
        with closing(MetricsLog(path)) as log:
            log.log(1, values)
            log.log(2, {"a": math.nan})
        first, second = read_metrics(path)
        assert {name: first[name] for name in values} == values
        assert math.isnan(second["a"]) and second["step"] == 2

    def test_rows_are_appended(self, tmp_path: Path) -> None:
        path = tmp_path / "metrics.jsonl"
        for step in (1, 2):
            with closing(MetricsLog(path)) as log:
                log.log(step, {})
        assert [row["step"] for row in read_metrics(path)] == [1, 2]

    def test_sigkill_loses_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "metrics.jsonl"
        killed = python(
            f"""
            import os, signal
            from pathlib import Path
            from translate.reporting.tracking import MetricsLog
            log = MetricsLog(Path({str(path)!r}))
            for step in range(50):
                log.log(step, {{"loss": step}})
            os.kill(os.getpid(), signal.SIGKILL)
            """
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert [row["loss"] for row in read_metrics(path)] == list(range(50))

    def test_a_torn_row_is_left_out_and_not_written_after(self, tmp_path: Path) -> None:
        path = tmp_path / "metrics.jsonl"
        path.write_text('{"step": 1, "a": 1.0}\n{"step": 2, "a"')
        assert [row["step"] for row in read_metrics(path)] == [1]
        with closing(MetricsLog(path)) as log:
            log.log(3, {"a": 3.0})
        assert [row["step"] for row in read_metrics(path)] == [1, 3]

    def test_a_bad_row_in_the_middle_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "metrics.jsonl"
        path.write_text('{"step": 1}\nnonsense\n{"step": 3}\n')
        with pytest.raises(TranslateError, match=r"metrics\.jsonl, line 2"):
            read_metrics(path)

    def test_a_resumed_log_equals_one_that_never_stopped(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.setattr(time, "time", lambda: 0.0)

        def train(log: MetricsLog, first: int, last: int) -> None:
            for step in range(first, last + 1):
                log.log(step, {"loss": 1 / step})

        whole, stopped = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
        with closing(MetricsLog(whole)) as log:
            train(log, 1, 20)
        with closing(MetricsLog(stopped)) as log:
            train(log, 1, 13)  # the checkpoint is of step 10
        with closing(MetricsLog(stopped)) as log:
            log.keep(lambda row: row["step"] <= 10)
            train(log, 11, 20)
        assert stopped.read_bytes() == whole.read_bytes()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["stopped.jsonl", "whole.jsonl"]

    def test_a_failed_truncation_leaves_every_row(self, tmp_path: Path, monkeypatch: Any) -> None:
        path = tmp_path / "metrics.jsonl"
        with closing(MetricsLog(path)) as log:
            log.log(1, {})
            log.log(2, {})
            monkeypatch.setattr(os, "replace", failing(OSError(28, "No space left on device")))
            with pytest.raises(TranslateError, match="No space left"):
                log.keep(lambda row: row["step"] <= 1)
        assert [row["step"] for row in read_metrics(path)] == [1, 2]
        assert [file.name for file in tmp_path.iterdir()] == ["metrics.jsonl"]

    def test_a_full_disk_is_said(self, tmp_path: Path) -> None:
        resource = pytest.importorskip("resource", reason="file size can be limited on Unix only")
        path = tmp_path / "metrics.jsonl"
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        written = []
        with closing(MetricsLog(path)) as log:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
            try:
                with pytest.raises(TranslateError, match=r"metrics\.jsonl: cannot be written"):
                    for step in range(100):
                        log.log(step, {"loss": 0.5})
                        written.append(step)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert len(path.read_bytes()) == 100, "the last row is torn, and was said to be"
        assert [row["step"] for row in read_metrics(path)] == written

    @pytest.mark.parametrize("name", ["step", "time"])
    def test_no_metric_takes_the_name_of_a_column(self, tmp_path: Path, name: str) -> None:
        with closing(MetricsLog(tmp_path / "metrics.jsonl")) as log, pytest.raises(ValueError, match=name):
            log.log(1, {name: 1.0})


@pytest.mark.parametrize("row", ['{"step": 1%s, "time": 1.0}', '{"step": 1, "time": 1.0, "a/b": 1%s}'])
def test_a_number_that_nobody_counts_to_is_no_metric(tmp_path, row):
    """As a float it would end every page that shows the run."""
    (tmp_path / "metrics.jsonl").write_text(row % ("0" * 400) + "\n")
    with pytest.raises(TranslateError, match="line 1: not a metrics row"):
        read_metrics(tmp_path / "metrics.jsonl")
