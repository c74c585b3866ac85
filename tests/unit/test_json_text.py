"""Every file of JSON that is written can be read by any parser: Infinity and NaN are no words of JSON."""

import json
import os
from dataclasses import dataclass
from math import inf, nan

import pytest
import tiny

from translate.evaluation.table import Score, dumped
from translate.inference.manifest import Manifest
from translate.inference.records import Record
from translate.runs.small_files import write_summary
from translate.training.checkpoint import load_checkpoint, save_checkpoint
from translate.training.checkpoint_json import Facts
from translate.training.diagnostics import Diagnostics, Finding
from translate.utils.stored import UnreadableError, json_text, parse_json


def strictly(text):
    def refused(word):
        pytest.fail(f"{word} is no JSON")

    return json.loads(text, parse_constant=refused)


@dataclass
class _Perfect:
    """A validation whose translations equal the truth."""

    name: str = "to b"
    protocol: str = "two images"

    def baselines(self):
        return {"untouched input": {"psnr": inf}}


def test_numbers_that_are_not_finite_are_null_however_deep_they_lie():
    value = {"a": (1.5, inf), "b": [{"c": -inf}, nan], "d": "Infinity", 5: None, "e": True}
    assert strictly(json_text(value)) == {
        "a": [1.5, None],
        "b": [{"c": None}, None],
        "d": "Infinity",
        "5": None,
        "e": True,
    }


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(TypeError):
        json_text({"a": object()})


def test_the_summary_of_an_image_that_equals_its_truth_is_json(tmp_path):
    write_summary(tmp_path, [_Perfect()], {"to b": {"psnr": inf}}, "float32")
    entry = strictly((tmp_path / "summary.json").read_text())["validation/to_b/psnr"]
    known = {"value": None, "untouched input": None, "protocol": "two images", "precision": "float32"}
    assert entry == known | {"measure": "in dB, of a peak of 1", "unit": "dB", "better": "higher", "decimals": 2}


def test_a_checkpoint_that_knows_of_an_infinite_psnr_is_json(tmp_path):
    folder = save_checkpoint(tmp_path, 1, {}, {"validation": {"to b": {"psnr": inf}}})
    assert strictly((folder / "checkpoint.json").read_text())["validation"] == {"to b": {"psnr": None}}
    assert load_checkpoint(tmp_path).step == 1


def test_scores_findings_and_manifests_are_json(tmp_path):
    assert strictly(dumped([Score("t", "n", inf, ceiling={"truth": inf})]))[0]["ceiling"] == {"truth": None}
    model = tiny.tiny_model("cyclegan")
    Diagnostics(model, tiny.random_batch(model), tmp_path, 3, str)._note([Finding("copy", 3, "m", nan, "r")])
    assert strictly((tmp_path / "doctor.jsonl").read_text())["value"] is None
    manifest = Manifest(tmp_path / "rows.jsonl")
    manifest.add(Record("a.png", "b.png", "done"), {"cycle error": inf})
    assert strictly((tmp_path / "rows.jsonl").read_text())["cycle error"] is None


def test_names_that_are_not_utf_8_are_read_back_as_they_were_written():
    name = os.fsdecode(b"b\xff.png")
    assert parse_json(json_text({"step": 3, "span": [0, 1], "skipped": {name: name}}), Facts, "facts") == {
        "step": 3,
        "span": (0.0, 1.0),
        "skipped": {name: name},
    }
    for broken in ('{"step": "x", "skipped": {"\\udcff": ""}}', '{"a": "\\udcff", ' + 200_000 * "["):
        with pytest.raises(UnreadableError, match="facts"):
            parse_json(broken, Facts, "facts")
