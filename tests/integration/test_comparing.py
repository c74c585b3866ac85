"""Runs side by side, from the files in their folders: what differs, how far they came, what may stand in one row."""

import json
from dataclasses import asdict, replace

import pytest
import yaml
from tiny import paired_folder

import translate
from translate.errors import ConfigurationError, TranslateError
from translate.evaluation.table import Score, score
from translate.runs.comparing.text import as_text

RECIPE = {
    "name": "mine",
    "summary": "a recipe",
    "model": {"name": "pix2pix", "generator": {"kind": "unet", "filters": 4}},
    "data": {"set": "photos/facades", "size": 32},
    "training": {"steps": 100, "epochs": None, "batch_size": 3, "lr": 2e-4, "network_lr": {}},
}
PROTOCOL = {"data": "facades", "split": "test", "resize": "to 32"}


def changed(**sections):
    """The recipe with some keys of its sections changed."""
    recipe = json.loads(json.dumps(RECIPE))
    for section, values in sections.items():
        recipe[section] |= values
    return recipe


def truth(value, low=None, high=None, floor=0.5, model="mine after step 100", **protocol):
    return Score(
        "L1 to the truth",
        "to b",
        value,
        better="lower",
        low=low,
        high=high,
        images=7,
        floor={"untouched input": floor},
        protocol=PROTOCOL | {"model": model} | protocol,
    )


@pytest.fixture
def put_run(tmp_path, monkeypatch):
    """Writes a run's files without training it."""
    monkeypatch.chdir(tmp_path)

    def put(name, recipe=RECIPE, rows=(), checkpoint=100, l1=None, baseline=0.5, scores=None, processes=1):
        run = tmp_path / name
        run.mkdir(parents=True)
        (run / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
        rows = [*rows, *([{"step": 100, "time": 8.0, "validation to b/l1": l1}] if l1 is not None else [])]
        if rows:
            (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        if checkpoint is not None:
            folder = run / "checkpoints" / f"step-{checkpoint:08d}"
            folder.mkdir(parents=True)
            facts = {"step": checkpoint, "recipe": recipe, "processes": processes, "total": 100}
            (folder / "checkpoint.json").write_text(json.dumps(facts))
            (run / "checkpoints" / "latest").write_text(folder.name + "\n")
        if l1 is not None and baseline is not None:
            entry = {"value": l1, "untouched input": baseline, "protocol": "two images"}
            (run / "summary.json").write_text(json.dumps({"to b, l1": entry}))
        if scores is not None:
            (run / "evaluation-latest.json").write_text(json.dumps([asdict(one) for one in scores]))
        return name

    return put


def test_settings_that_differ_are_told_by_dotted_key_and_others_are_not(put_run):
    put_run("a")
    put_run("b", changed(data={"set": "../facades"}, training={"lr": 1e-3, "network_lr": {"generator": 1e-4}}))
    assert translate.compare(["a", "b"]).settings == {
        "data.set": {"a": "photos/facades", "b": "../facades"},
        "training.lr": {"a": 2e-4, "b": 1e-3},
        "training.network_lr.generator": {"b": 1e-4},
    }


def test_a_run_from_before_resizing_had_a_choice_is_compared_as_the_bicubic_run_that_it_is(put_run):
    put_run("old", l1=0.25)
    for name in ("bicubic", "bilinear"):
        put_run(name, changed(data={"interpolation": name}), l1=0.125)
    alike, other = (translate.compare(["old", name]) for name in ("bicubic", "bilinear"))
    assert not alike.settings and [row.values for row in alike.validation] == [[0.25, 0.125]]
    assert other.settings == {"data.interpolation": {"old": "bicubic", "bilinear": "bilinear"}}
    assert [row.values for row in other.validation] == [[0.25, None], [None, 0.125]]


def test_ssim_from_before_it_was_mended_is_in_a_row_of_its_own(put_run, tmp_path):
    for name in ("old", "new"):
        put_run(name, rows=[{"step": 100, "time": 8.0, "validation to b/ssim": 0.5, "validation to b/l1": 0.25}])
    facts = tmp_path / "new" / "checkpoints" / "step-00000100" / "checkpoint.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"precision": "float32"}))
    rows = {row.table: row.values for row in translate.compare(["old", "new"]).validation}
    assert (
        rows["validation: l1"] == [0.25, 0.25] and 0.5 in rows["validation: ssim"] and None in rows["validation: ssim"]
    )


def test_of_a_list_of_sections_only_the_settings_that_differ_are_told(put_run):
    affine = {"name": "Affine", "rotate": [-5, 5]}
    for name, p in (("one", 0.5), ("two", 1.0)):
        put_run(name, changed(data={"augment": [affine | {"p": p}]}))
    assert translate.compare(["one", "two"]).settings == {"data.augment.0.p": {"one": 0.5, "two": 1.0}}


def test_a_summary_in_words_is_no_setting_and_equal_settings_are_said_to_be(put_run):
    put_run("a"), put_run("b", RECIPE | {"summary": "other words"})
    assert "settings: all are equal" in as_text(translate.compare(["a", "b"]))


def test_steps_images_and_hours_are_those_that_were_recorded(put_run):
    rows = [{"step": 50, "time": 3600.0, "loss": 1.0}, {"step": 60, "time": 9000.0, "loss": 1.0}]
    put_run("killed", rows=rows, checkpoint=40, processes=2)
    put_run("begun", checkpoint=None)
    compared = translate.compare(["killed", "begun"])
    killed, begun = compared.states["killed"], compared.states["begun"]
    assert (killed.steps, killed.wanted, killed.checkpoint) == (60, 100, 40)
    assert killed.images == 60 * 3 * 2 and killed.hours == 1.5
    (line,) = [line for line in as_text(compared).splitlines() if "first to last row" in line]
    assert line.split()[-5:] == ["1", "h", "30", "min", "-"]
    assert (begun.steps, begun.images, begun.hours, begun.checkpoint) == (None, None, None, None)


def test_the_last_validation_stands_beside_its_baselines_and_the_best_is_marked(put_run):
    earlier = [{"step": 50, "time": 1.0, "validation to b/l1": 0.01}]
    put_run("a", rows=earlier, l1=0.25), put_run("b", l1=0.125)
    compared = translate.compare(["a", "b"])
    (row,) = compared.validation
    assert (row.table, row.name, row.values, row.best) == ("validation: l1", "to b", [0.25, 0.125], 0.125)
    assert row.floor == {"untouched input": 0.5} and compared.states["a"].validated == 100
    assert "0.1250*" in as_text(compared)
    assert "0.2500*" not in as_text(compared)


def test_a_unit_that_the_measures_key_names_is_said_once(put_run):
    put_run("a", rows=[{"step": 100, "time": 1.0, "validation/to_ct/error/HU": 21.5}])
    assert "validation: error, HU (lower is better)" in as_text(translate.compare(["a"])).splitlines()


def test_a_run_that_has_not_ended_shares_the_row_of_one_that_has(put_run):
    put_run("ended", l1=0.25), put_run("killed", l1=0.125, baseline=None)
    compared = translate.compare(["ended", "killed"])
    assert [row.values for row in compared.validation] == [[0.25, 0.125]]
    assert any("killed: no baselines" in line and "--resume`" in line for line in compared.missing)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"size": 64}, "data.size is 32 or 64"),
        ({"set": "photos/maps"}, "data is facades or maps"),
        ({"resize": "centre"}, 'data.resize is "centre" or null'),
    ],
)
def test_validations_of_other_images_are_apart_and_that_is_said(put_run, other, named):
    put_run("a", l1=0.25), put_run("b", changed(data=other), l1=0.125)
    compared = translate.compare(["a", "b"])
    assert [row.values for row in compared.validation] == [[0.25, None], [None, 0.125]]
    assert [row.best for row in compared.validation] == [None, None]
    apart = "validation: l1: measured in different ways"
    assert any(apart in line and named in line for line in compared.warnings)


@pytest.mark.parametrize("name", ["l1", "psnr", "label error", "change", "kid"])
def test_scores_of_an_earlier_version_share_the_rows_of_newer_ones(put_run, name):
    how = {"data": "facades", "split": "test"}
    before = how | {"precision": "the model in bf16, what judges it in float32"}
    new = score(name, "to b", 0.25, protocol=how | {"precision": "the model in bf16, measures in float32"})
    put_run("old", scores=[replace(new, value=0.5, protocol=before)])
    put_run("new", scores=[new])
    compared = translate.compare(["old", "new"])
    assert [row.values for row in compared.evaluation] == [[0.5, 0.25]] and not compared.warnings


def test_validations_from_before_measures_had_words_of_their_own_share_the_rows_of_newer_ones(put_run, tmp_path):
    words = ": l1 where black is 0 and white 1, psnr in dB, ssim as Wang et al. 2004 have it"
    for name, l1, middle in (("old", 0.5, words), ("new", 0.25, "")):
        put_run(name, l1=l1)
        protocol = f"6 test images of 64 x 64 pixels beside their true translations{middle}; the best colour map is fit"
        entry = {"value": l1, "untouched input": 0.5, "protocol": protocol, "precision": "bf16"}
        (tmp_path / name / "summary.json").write_text(json.dumps({"to b, l1": entry}))
    compared = translate.compare(["old", "new"])
    assert [row.values for row in compared.validation] == [[0.5, 0.25]] and not compared.warnings


def test_a_data_set_that_moved_is_the_same(put_run):
    put_run("a", l1=0.25), put_run("b", changed(data={"set": "/elsewhere/facades/"}), l1=0.125)
    assert len(translate.compare(["a", "b"]).validation) == 1


def test_scores_of_one_protocol_share_a_row_whatever_their_models(put_run):
    put_run("a", scores=[truth(0.25)]), put_run("b", scores=[truth(0.125, model="other after step 100")])
    compared = translate.compare(["a", "b"])
    (row,) = compared.evaluation
    assert row.values == [0.25, 0.125] and row.best == 0.125 and not compared.warnings
    assert row.protocol == PROTOCOL | {"images": 7}


@pytest.mark.parametrize("key", ["resize", "data", "classifier"])
def test_scores_of_other_protocols_are_in_rows_of_their_own_with_a_warning(put_run, key):
    put_run("a", scores=[truth(0.25, **{key: "one"})]), put_run("b", scores=[truth(0.125, **{key: "two"})])
    compared = translate.compare(["a", "b"])
    assert [row.values for row in compared.evaluation] == [[0.25, None], [None, 0.125]]
    assert [line for line in compared.warnings if f"{key} is one or two" in line]


def test_the_warnings_of_scores_are_passed_on_with_the_name_of_the_run(put_run):
    (
        put_run("a", scores=[replace(truth(0.2), warning="judged by a weak classifier")] * 2),
        put_run("b", scores=[truth(0.1)]),
    )
    assert translate.compare(["a", "b"]).warnings == ["a: judged by a weak classifier"]


def test_floors_that_tell_of_other_test_images_are_warned_of(put_run):
    put_run("a", scores=[truth(0.25)]), put_run("b", scores=[truth(0.125, floor=0.6)])
    (line,) = translate.compare(["a", "b"]).warnings
    assert "measured on different images: untouched input is 0.5 in a, 0.6 in b" in line


def test_what_could_not_be_measured_is_no_row(put_run):
    put_run("a", scores=[Score("distances", "to b", None, note="unavailable: no weights"), truth(0.5)])
    assert [row.table for row in translate.compare(["a"]).evaluation] == ["L1 to the truth"]


def test_marks_say_what_is_best_and_what_intervals_do_not_tell_from_it(put_run):
    put_run("best", scores=[truth(0.2, 0.1, 0.3)])
    put_run("near", scores=[truth(0.25, 0.2, 0.35)])
    put_run("far", scores=[truth(0.5, 0.4, 0.6)])
    (line,) = [line for line in as_text(translate.compare(["best", "near", "far"])).splitlines() if "to b" in line]
    assert line.split() == ["to", "b", "0.2*", "0.25~", "0.5", "0.5"]


def test_scores_of_an_earlier_step_are_warned_of(put_run):
    put_run("a", scores=[truth(0.25, model="mine after step 50")])
    (line,) = translate.compare(["a"]).warnings
    assert "mine after step 50" in line and "step 100" in line


def test_what_is_missing_is_a_dash_and_the_command_that_makes_it(put_run):
    put_run("runs/a"), put_run("runs/b", checkpoint=None)
    compared = translate.compare(["runs/a", "runs/b"])
    assert any("`translate evaluate runs/a`" in line for line in compared.missing)
    assert any("`translate train runs/b/recipe.yaml --out runs/b --resume`" in line for line in compared.missing)
    steps = next(line for line in as_text(compared).splitlines() if "steps" in line)
    assert steps.split() == ["steps", "100", "of", "100", "-", "of", "100"]


def test_tables_wider_than_the_terminal_go_on_below(put_run):
    runs = [put_run(f"a-run-with-quite-a-long-name-{number}", l1=0.25) for number in range(6)]
    compared = translate.compare(runs)
    assert max(map(len, as_text(compared).splitlines())) > 150
    tables = as_text(compared, 90).partition("* best")[0].splitlines()
    assert max(map(len, tables)) <= 90
    assert all(sum(run in line for line in tables) == 2 for run in runs), "once in each of two tables"


def test_runs_of_other_methods_are_compared(put_run):
    put_run("a"), put_run("b", RECIPE | {"model": {"name": "mine-own", "blocks": 2}})
    settings = translate.compare(["a", "b"]).settings
    assert settings["model.generator.kind"] == {"a": "unet"} and settings["model.blocks"] == {"b": 2}
    assert list(settings) == ["model.name", "model.blocks", "model.generator.kind", "model.generator.filters"]


@pytest.mark.parametrize(
    ("runs", "says"), [(["a", "nothing"], "nothing: no such run"), (["a", "a/"], "a: is given twice")]
)
def test_what_is_no_run_is_refused(run_cli, put_run, runs, says):
    put_run("a")
    with pytest.raises(ConfigurationError, match=says):
        translate.compare(runs)
    refused = run_cli("compare", *runs)
    assert refused.exit_code == 2 and says in refused.stderr and not refused.stdout


@pytest.mark.parametrize("content", ["{", '[{"what": 1}]'])
def test_a_damaged_file_is_named(put_run, tmp_path, content):
    put_run("a")
    (tmp_path / "a" / "evaluation-latest.json").write_text(content)
    with pytest.raises(TranslateError, match=r"a/evaluation-latest\.json: not"):
        translate.compare(["a"])


def test_real_runs_are_compared_by_the_command(run_cli, tiny_recipe, tmp_path):
    data, recipe = paired_folder(tmp_path / "pairs"), tiny_recipe("pix2pix")
    for run, setting in (("one", "training.lr=1e-3"), ("two", "training.lr=1e-4")):
        trained = run_cli("train", recipe, setting, "--data", data, "--out", run, "--device", "cpu", "-q")
        assert trained.exit_code == 0, trained.output
        assert run_cli("evaluate", run, "--device", "cpu", "-q").exit_code == 0
    result = run_cli("compare", "one", "two", "--json", "both.json")
    assert result.exit_code == 0, result.output
    assert "warning" not in result.output and "`translate evaluate" not in result.output
    both = json.loads((tmp_path / "both.json").read_text(), parse_constant=pytest.fail)
    assert both["settings"] == {"training.lr": {"one": 1e-3, "two": 1e-4}}
    best = both["states"]["one"].pop("best")
    assert best.startswith("4 (l1 0.")
    assert both["states"]["one"] | {"hours": 0} == {
        "steps": 4,
        "wanted": 4,
        "images": 8,
        "hours": 0,
        "checkpoint": 4,
        "validated": 4,
        "ended": True,
        "scored": "tiny-pix2pix after step 4",
        "rescheduled": "",
    }
    tables = {row["table"]: row for row in both["validation"] + both["evaluation"]}
    assert {"validation: l1", "validation: psnr", "validation: ssim", "SSIM to the truth, 0-1 scale"} <= tables.keys()
    assert all(None not in row["values"] for row in tables.values())
    scores = json.loads((tmp_path / "two" / "evaluation-latest.json").read_text())
    named = {(row["table"], row["name"]): row for row in both["evaluation"]}
    assert {name for _, name in named} == {"to B", "to B, as converted"} and len(named) == len(scores)
    for one in scores:
        row = named[one["table"], one["name"]]
        assert row["values"][1] == one["value"] and row["protocol"]["data"] == "pairs"


def _seeds(put_run, name, *values, **more):
    """Runs of one recipe with seeds from 0 on, validated so; more of what `put_run` takes."""
    return [
        put_run(f"runs/{name}-seed{seed}", changed(training={"seed": seed, **more}), l1=value)
        for seed, value in enumerate(values)
    ]


def test_runs_that_differ_in_their_seed_alone_are_one_column_with_mean_deviation_and_number(put_run):
    lucky = _seeds(put_run, "lucky", 0.1, 0.3, 0.5)
    steady = _seeds(put_run, "steady", 0.2, 0.25, 0.3, lr=1e-3)
    compared = translate.compare([*lucky, *steady])
    (row,) = compared.means.validation
    assert compared.means.columns == {"runs/lucky": lucky, "runs/steady": steady}
    assert row.values == pytest.approx([0.3, 0.25]) and row.sd == pytest.approx([0.2, 0.05]) and row.runs == [3, 3]
    text = as_text(compared)
    assert "0.3000 ± 0.2000 (3) " in text and "0.2500 ± 0.0500 (3)*" in text, "no star for the luckiest seed"
    assert text.count("*") == 2 and "training.seed" not in text and "mean ± standard deviation" in text
    (runs,) = [line.split() for line in text.splitlines() if line.split()[:1] == ["runs"]]
    assert runs == ["runs", "3", "3"]
    assert not compared.warnings, "other seeds are no other way of measuring"
    assert compared.settings["training.seed"], "what each run was is still there for programs"
    assert compared.as_json()["means"]["validation"][0]["runs"] == [3, 3]


def test_a_single_run_is_held_against_the_mean_of_a_group(put_run):
    seeds, alone = _seeds(put_run, "many", 0.1, 0.3), put_run("alone", changed(training={"lr": 1e-3}), l1=0.15)
    compared = translate.compare([*seeds, alone])
    (row,) = compared.means.validation
    assert row.values == pytest.approx([0.2, 0.15]) and row.sd[1] is None and row.runs == [2, 1]
    assert "0.1500 (1)*" in as_text(compared)


def test_a_run_of_a_group_that_has_not_ended_is_no_part_of_its_mean(put_run):
    seeds = _seeds(put_run, "many", 0.2, 0.4)
    rows = [{"step": 50, "time": 1.0, "validation to b/l1": 0.9}]
    under_way = put_run("runs/many-seed2", changed(training={"seed": 2}), rows=rows, checkpoint=50)
    compared = translate.compare([*seeds, under_way])
    assert compared.means.validation[0].values == pytest.approx([0.3]) and compared.means.validation[0].runs == [2]
    assert any(line.startswith("runs/many-seed2: has not come to its end") for line in compared.missing)


def test_what_all_runs_of_a_group_lack_is_said_once(put_run):
    """With the command for the first of them; a run alone has a line of its own."""
    seeds, alone = _seeds(put_run, "many", 0.2, 0.4, 0.3), put_run("alone", changed(training={"lr": 1e-3}), l1=0.15)
    assert translate.compare([*seeds, alone]).missing == [
        f"{seeds[0]}: no scores; `translate evaluate {seeds[0]}` makes them; likewise {seeds[1]}, {seeds[2]}",
        "alone: no scores; `translate evaluate alone` makes them",
    ]


def test_runs_of_equal_settings_and_seed_are_no_group(put_run):
    put_run("a", l1=0.25), put_run("b", l1=0.125)
    assert translate.compare(["a", "b"]).means is None and "means" not in translate.compare(["a", "b"]).as_json()


def test_folds_are_a_group_whatever_was_measured_in_each_and_apart_from_test_images(put_run):
    folds = [
        put_run(
            f"runs/mine-fold{number}of2",
            changed(data={"fold": f"{number}/2", "fold_seed": 0}),
            l1=value,
            baseline=baseline,
            scores=[truth(value, floor=baseline, split=f"fold {number} of 2", classifier=f"of fold {number}")],
        )
        for number, value, baseline in ((1, 0.2, 0.5), (2, 0.4, 0.7))
    ]
    plain = put_run("plain", l1=0.1, scores=[truth(0.1)])
    compared = translate.compare([*folds, plain])
    for row in (*compared.means.validation, *compared.means.evaluation):
        mean, single = (row.values[0] is not None, row.values[1] is not None)
        assert mean != single, "folds measure other images than the set's own"
        if mean:
            assert row.values[0] == pytest.approx(0.3) and row.floor["untouched input"] == pytest.approx(0.6)
            assert row.protocol["cross-validation"] == "2 folds, data.fold_seed 0" and "fold" not in row.protocol
    assert len(compared.means.validation) == len(compared.means.evaluation) == 2
    assert not any("different images" in line for line in compared.warnings)


def test_scores_of_one_group_that_were_measured_in_other_ways_are_not_averaged(put_run):
    for seed, resize in ((0, "to 32"), (1, "to 32"), (2, "to 64")):
        put_run(f"x-seed{seed}", changed(training={"seed": seed}), scores=[truth(0.1 * (seed + 1), resize=resize)])
    compared = translate.compare([f"x-seed{seed}" for seed in range(3)])
    assert sorted(row.runs[0] for row in compared.means.evaluation) == [1, 2]
    assert any("measured in different ways" in line for line in compared.warnings)


def test_the_page_has_the_tables_and_is_written_again_but_over_no_other_file(run_cli, put_run, tmp_path):
    runs = [*_seeds(put_run, "<b>many", 0.1, 0.3), put_run("alone", changed(training={"lr": 1e-3}), l1=0.15)]
    for _ in range(2):
        assert run_cli("compare", *runs, "--html", "page.html").exit_code == 0
    page = (tmp_path / "page.html").read_text()
    assert "<td>0.2000 ± 0.1414 (2) </td>" in page and "<td><b>0.1500 (1)*</b></td>" in page
    assert "<th>training.lr</th>" in page and "<th>steps</th>" in page and "mean ± standard deviation" in page
    assert "&lt;b&gt;many" in page and "<script" not in page and "http" not in page.replace("http-equiv", "")
    (tmp_path / "own.html").write_text("<!doctype html><p>mine")
    refused = run_cli("compare", *runs, "--html", "own.html")
    assert refused.exit_code == 2 and (tmp_path / "own.html").read_text() == "<!doctype html><p>mine"
