"""Every measure says in which precision the model ran, and converting says what bf16 costs."""

import json

import numpy as np
import pytest
from PIL import Image
from tiny import paired_folder

import translate
from translate.evaluation.table import as_text
from translate.runs.comparing.text import as_text as compared_text
from translate.runs.evaluate import evaluate, write_scores
from translate.runs.train import train
from translate.training.checkpoint import load_checkpoint


@pytest.fixture
def trained(tiny_recipe, tmp_path, monkeypatch):
    """Trains a run in a precision, on the same images."""
    monkeypatch.chdir(tmp_path)
    data = paired_folder(tmp_path / "data")

    def run(precision):
        overrides = [f"training.precision={precision}"]
        return train(tiny_recipe("pix2pix"), data, out=precision, overrides=overrides, quiet=True, tracking="disabled")

    return run


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_what_training_measured_says_in_which_precision(trained, precision):
    run = trained(precision)
    facts = load_checkpoint(run / "checkpoints", "best").facts
    assert facts["best_l1"] > 0 and facts["precision"] == precision
    summary = json.loads((run / "summary.json").read_text())
    assert {entry["precision"] for entry in summary.values()} == {precision}
    page = (run / "report.html").read_text()
    assert f"; the model in {precision}." in page and "<th>precision</th>" not in page


def test_scores_say_in_which_precision_and_those_of_two_share_no_row(trained, monkeypatch):
    for precision in ("float32", "bf16"):
        run = trained(precision)
        scores = evaluate(run, device="cpu", quiet=True)
        assert f"  precision: the model in {precision}, measures in float32" in as_text(scores).splitlines()
        written = json.loads(write_scores(scores, run).read_text())
        assert {entry["protocol"]["precision"].split()[3] for entry in written} == {f"{precision},"}
    compared = translate.compare(["float32", "bf16"])
    for table in ("validation: l1", "L1 to the truth, 0-1 scale"):
        ways = [line for line in compared.warnings if line.startswith(f"{table}: measured in different ways")]
        assert any("precision is" in way and "bf16" in way and "float32" in way for way in ways)
    assert "bf16" in compared_text(compared)


def test_a_run_that_goes_on_in_another_precision_says_so(run_cli, tiny_recipe, tmp_path):
    arguments = ["train", tiny_recipe("pix2pix"), "--data", paired_folder(tmp_path / "data"), "--out", "run"]
    assert run_cli(*arguments, "--engine", "plain", "--set", "training.steps=2").exit_code == 0
    again = run_cli(*arguments, "--engine", "plain,bf16", "--resume")
    assert again.exit_code == 0
    assert "warning: this run was trained and measured in float32 so far, and goes on in bf16:" in again.output
    assert "in bf16 so far" not in run_cli(*arguments, "--engine", "plain,bf16", "--resume").output


@pytest.mark.parametrize("precision", ["auto", "bf16", "float32"])
def test_converting_says_what_bf16_costs(run_cli, trained, monkeypatch, tmp_path, precision):
    monkeypatch.setattr("translate.training.runtime._has_fast_bf16", lambda device: True)
    run = trained("float32")
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "in.png")
    told = run_cli("convert", run, "in.png", "out.png", "--precision", precision, "--device", "cpu").output
    assert ("levels of 255" in told) == (precision != "float32")
    quiet = run_cli("convert", run, "in.png", "out.png", "--precision", precision, "--overwrite", "--quiet").output
    assert "levels of 255" not in quiet
