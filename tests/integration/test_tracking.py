"""What trackers are told, and that nothing Weights & Biases does can stop a run."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import warm
from patience import PATIENCE
from PIL import Image

from translate.errors import ConfigurationError
from translate.reporting.tracking import TrackedRun, Tracker, Trackers, choose_trackers, left_to_do, open_trackers
from translate.runs.train import train


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own, with no WANDB_ variable but those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    root = str(Path(__file__).parents[2])
    path = {"PYTHONPATH": os.pathsep.join([root, kept.get("PYTHONPATH", "")])}
    return warm.run([sys.executable, "-c", textwrap.dedent(code)], env={**kept, **path, **environment})


def failing(error: Exception) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


class FakeRun:
    url = "https://example.org/run"

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.broken: Exception | None = None

    def log(self, values: dict[str, Any], step: int) -> None:
        self.calls.append(("log", values, step))
        if self.broken:
            raise self.broken

    def log_artifact(self, artifact: Any, aliases: list[str]) -> None:
        self.calls.append(("artifact", artifact, aliases, os.environ["WANDB_DATA_DIR"]))

    def finish(self, exit_code: int) -> None:
        self.calls.append(("finish", exit_code))
        if self.broken:
            raise self.broken


class FakeArtifact:
    def __init__(self, name: str, type: str, metadata: dict[str, float]) -> None:
        self.name, self.type, self.folder, self.metadata = name, type, "", metadata

    def add_dir(self, folder: str) -> None:
        self.folder = folder


class FakeWandb:
    """The part of wandb that is used. `refusals`: what `init` raises, by mode."""

    Artifact = FakeArtifact

    def __init__(self) -> None:
        self.refusals: dict[str, Exception] = {}
        self.inits: list[dict[str, Any]] = []
        self.held: list[str] = []  # an id stays in use after an init that failed, as with wandb 0.31
        self.environment: dict[str, str] = {}
        self.run = FakeRun()

    def Settings(self, **settings: Any) -> SimpleNamespace:
        return SimpleNamespace(**settings)

    def Image(self, path: str) -> str:
        return f"image of {path}"

    def init(self, **options: Any) -> FakeRun:
        self.inits.append(options)
        self.environment = {name: value for name, value in os.environ.items() if name.startswith("WANDB_")}
        if options["id"] in self.held:
            raise RuntimeError(f"run ID {options['id']} is in use")
        self.held.append(options["id"])
        if options["mode"] in self.refusals:
            raise self.refusals[options["mode"]]
        return self.run

    def teardown(self, exit_code: int) -> None:
        self.held.clear()


@pytest.fixture(autouse=True)
def no_login(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nobody has logged in; its home."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    return home


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def opened(mode: Any, folder: Path) -> Any:
    return open_trackers(choose_trackers(mode), TrackedRun(folder, "a run", {"steps": 3}, "abc"))


def test_a_tracker_from_before_facts_still_gets_its_artifacts(tmp_path: Path, capsys: Any) -> None:
    class Old(Tracker):
        def artifact(self, name: str, folder: Path, aliases: Any = ()) -> None:
            kept.append((name, folder, aliases))

    class New(Tracker):
        def artifact(self, *given: Any) -> None:
            kept.append(given)

    kept: list[Any] = []
    run = TrackedRun(tmp_path, "a run", {}, "abc")
    Trackers([Old(run, ""), New(run, "")]).artifact("model", tmp_path, ["best"], {"step": 7})
    assert kept == [("model", tmp_path, ["best"]), ("model", tmp_path, ["best"], {"step": 7})]
    assert not capsys.readouterr().err


class TestMode:
    def test_auto_without_a_key_tracks_nothing(self, tmp_path: Path, wandb: FakeWandb) -> None:
        tracker = opened("auto", tmp_path)
        assert not tracker.running and not wandb.inits
        tracker.log(1, {"a": 1.0})
        tracker.images(1, "samples", tmp_path / "not there.png")
        tracker.artifact("model", tmp_path / "not there", ["best"])
        tracker.finish()

    def test_auto_with_a_key_in_the_environment(self, tmp_path: Path, wandb: FakeWandb, monkeypatch: Any) -> None:
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        opened("auto", tmp_path)
        assert [init["mode"] for init in wandb.inits] == ["online"]

    @pytest.mark.parametrize("host", ["api.wandb.ai", "api.forge.coreweave.com"])
    def test_auto_with_a_key_from_a_login(self, tmp_path: Path, wandb: FakeWandb, no_login: Path, host: str) -> None:
        (no_login / "netrc").write_text(f"machine {host}\n  login user\n  password {'x' * 40}\n")
        opened("auto", tmp_path)
        assert [init["mode"] for init in wandb.inits] == ["online"]

    @pytest.mark.parametrize("entry", ["machine example.org login user password x\n", "machine", "\x00"])
    def test_a_netrc_without_a_key_is_none(self, tmp_path: Path, wandb: FakeWandb, no_login: Path, entry: str) -> None:
        (no_login / "netrc").write_text(entry)
        assert not opened("auto", tmp_path).running

    def test_a_server_of_ones_own_wants_its_own_key(
        self, tmp_path: Path, wandb: FakeWandb, no_login: Path, monkeypatch: Any
    ) -> None:
        (no_login / "netrc").write_text("machine api.wandb.ai login user password x\n")
        monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
        assert not opened("auto", tmp_path).running
        (no_login / "netrc").write_text("machine wandb.example.org login user password x\n")
        opened("auto", tmp_path)
        assert [init["mode"] for init in wandb.inits] == ["online"]

    def test_the_settings_file_is_read(self, tmp_path: Path, wandb: FakeWandb, no_login: Path) -> None:
        settings = no_login / ".config" / "wandb" / "settings"
        settings.parent.mkdir(parents=True)
        settings.write_text("[default]\napi_key = " + "x" * 40 + "\n")
        opened("auto", tmp_path)
        settings.write_text("[default]\nmode = offline\n")
        wandb.teardown(0)
        opened("auto", tmp_path)
        assert [init["mode"] for init in wandb.inits] == ["online", "offline"]

    @pytest.mark.parametrize(("said", "done"), [("offline", ["offline"]), ("dryrun", ["offline"]), ("disabled", [])])
    def test_auto_honours_wandb_mode(
        self, tmp_path: Path, wandb: FakeWandb, monkeypatch: Any, said: str, done: list[str]
    ) -> None:
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        monkeypatch.setenv("WANDB_MODE", said)
        opened("auto", tmp_path)
        assert [init["mode"] for init in wandb.inits] == done

    def test_a_mode_of_the_recipe_beats_wandb_mode(self, tmp_path: Path, wandb: FakeWandb, monkeypatch: Any) -> None:
        monkeypatch.setenv("WANDB_MODE", "disabled")
        opened("offline", tmp_path)
        assert [init["mode"] for init in wandb.inits] == ["offline"]

    def test_a_wrong_wandb_mode_is_refused(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.setenv("WANDB_MODE", "oflin")
        with pytest.raises(ConfigurationError, match=r"WANDB_MODE.*oflin.*offline"):
            opened("auto", tmp_path)

    def test_a_wrong_mode_is_refused_before_a_run_begins(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"no tracker 'of'; expected auto, online, offline, disabled"):
            train("cyclegan", "shapes", tracking="of", out=tmp_path / "run", device="cpu")
        assert not (tmp_path / "run").exists()

    def test_wandb_is_imported_only_when_wanted(self) -> None:
        imported = python(
            """
            import sys
            from pathlib import Path
            from translate.reporting.tracking import TrackedRun, choose_trackers, open_trackers
            open_trackers(choose_trackers("disabled"), TrackedRun(Path("."), "n", {}, "i")).log(1, {})
            print("wandb" in sys.modules, "rich" in sys.modules)
            """
        )
        assert imported.stdout.split() == ["False", "False"], imported.stderr


class TestWandb:
    def test_what_is_handed_on(self, tmp_path: Path, wandb: FakeWandb) -> None:
        tracker = opened("offline", tmp_path)
        tracker.log(7, {"generator/l1": 0.5})
        tracker.images(7, "samples", tmp_path / "grid.png")
        tracker.artifact("horse → zebra", tmp_path / "checkpoint", ["best"], {"step": 7})
        tracker.finish(exit_code=143)

        (init,) = wandb.inits
        assert (init["id"], init["name"], init["resume"]) == ("abc", "a run", "allow")
        assert (init["project"], init["job_type"]) == ("translate", "train")
        assert init["config"] == {"steps": 3} and init["dir"] == str(tmp_path)
        assert init["settings"].init_timeout + 10 < 30 and 0 < init["settings"].finish_timeout <= 60
        assert init["settings"].x_transaction_log_flush_interval == 1.0
        log, images, artifact, finish = wandb.run.calls
        assert log == ("log", {"generator/l1": 0.5}, 7)
        assert images == ("log", {"samples": f"image of {tmp_path / 'grid.png'}"}, 7)
        assert artifact[1].name == "horse---zebra", "wandb refuses other characters"
        assert artifact[1].folder == str(tmp_path / "checkpoint") and artifact[2] == ["best"]
        assert artifact[1].metadata == {"step": 7}
        assert finish == ("finish", 143)

    def test_the_project_and_name_of_wandbs_own_variables_are_taken(
        self, tmp_path: Path, wandb: FakeWandb, monkeypatch: Any
    ) -> None:
        monkeypatch.setenv("WANDB_PROJECT", "zebras")
        monkeypatch.setenv("WANDB_NAME", "the third try")
        opened("offline", tmp_path)
        assert (wandb.inits[0]["project"], wandb.inits[0]["name"]) == ("zebras", "the third try")

    def test_its_folders_are_in_the_run_folder_and_the_environment_is_left_alone(
        self, tmp_path: Path, wandb: FakeWandb
    ) -> None:
        before = dict(os.environ)
        tracker = opened("offline", tmp_path)
        tracker.artifact("model", tmp_path)
        assert dict(os.environ) == before
        for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
            assert Path(wandb.environment[name]).is_relative_to(tmp_path)
        assert Path(wandb.run.calls[0][3]).is_relative_to(tmp_path)

    def test_folders_that_the_user_chose_stay(self, tmp_path: Path, wandb: FakeWandb, monkeypatch: Any) -> None:
        monkeypatch.setenv("WANDB_CACHE_DIR", "/elsewhere")
        opened("offline", tmp_path)
        assert wandb.environment["WANDB_CACHE_DIR"] == "/elsewhere" == os.environ["WANDB_CACHE_DIR"]

    def test_online_becomes_offline_and_says_so_once(
        self, tmp_path: Path, wandb: FakeWandb, monkeypatch: Any, capsys: Any
    ) -> None:
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
        wandb.refusals["online"] = RuntimeError("the network is down.\nConsider a longer timeout")
        opened("online", tmp_path).log(1, {"a": 1.0})
        assert [init["mode"] for init in wandb.inits] == ["online", "offline"]
        assert wandb.run.calls == [("log", {"a": 1.0}, 1)]
        said = capsys.readouterr().err
        assert said.count("warning") == 1 and "the network is down. Tracking offline" in said

    def test_online_without_a_key_does_not_ask(self, tmp_path: Path, wandb: FakeWandb, capsys: Any) -> None:
        opened("online", tmp_path)
        assert [init["mode"] for init in wandb.inits] == ["offline"]
        assert "wandb login" in capsys.readouterr().err

    def test_training_goes_on_where_wandb_cannot_start_at_all(
        self, tmp_path: Path, wandb: FakeWandb, capsys: Any
    ) -> None:
        wandb.refusals["offline"] = OSError("read-only file system")
        assert not opened("offline", tmp_path).running
        said = capsys.readouterr().err
        assert said.count("warning") == 1 and "read-only file system" in said

    def test_an_error_later_ends_tracking_and_nothing_else(self, tmp_path: Path, wandb: FakeWandb, capsys: Any) -> None:
        tracker = opened("offline", tmp_path)
        wandb.run.broken = OSError(28, "No space left on device")
        tracker.log(1, {"a": 1.0})
        tracker.log(2, {"a": 1.0})
        tracker.images(2, "samples", tmp_path / "grid.png")
        tracker.finish()
        assert len(wandb.run.calls) == 1
        said = capsys.readouterr().err
        assert said.count("warning") == 1 and "No space left on device" in said and "metrics.jsonl" in said

    def test_a_finish_that_times_out_is_said(self, tmp_path: Path, wandb: FakeWandb, capsys: Any) -> None:
        tracker = opened("offline", tmp_path)
        wandb.run.broken = TimeoutError("30 seconds have passed")
        tracker.finish()
        assert "wandb sync" in capsys.readouterr().err

    def test_one_line_says_how_to_upload_what_is_not_uploaded_of_all_runs(self, tmp_path: Path) -> None:
        for run, parts in {"a b": ["1-x", "2-x"], "c": ["3-y"], "d": ["4-z"]}.items():
            for part in parts:
                folder = tmp_path / run / "wandb" / f"offline-run-{part}"
                folder.mkdir(parents=True)
                (folder / f"run-{part[-1]}.wandb").touch()
        (tmp_path / "d/wandb/offline-run-4-z/run-z.wandb.synced").touch()  # as `wandb sync` leaves it
        runs = [tmp_path / name for name in ("a b", "c", "d", "never tracked")]
        (line,) = left_to_do(choose_trackers(["offline", "tensorboard"]), runs)
        words = shlex.split(line.partition("to upload: ")[2])
        assert words[:2] == ["wandb", "sync"]
        assert [str(Path(word).relative_to(tmp_path)) for word in words[2:]] == [
            "a b/wandb/offline-run-1-x",
            "a b/wandb/offline-run-2-x",
            "c/wandb/offline-run-3-y",
        ]
        assert left_to_do(choose_trackers("offline"), runs[2:]) == left_to_do(choose_trackers("disabled"), runs) == []

    def test_ctrl_c_is_not_swallowed(self, tmp_path: Path, wandb: FakeWandb) -> None:
        tracker = opened("offline", tmp_path)
        wandb.run.broken = KeyboardInterrupt()  # type: ignore[assignment]
        with pytest.raises(KeyboardInterrupt):
            tracker.log(1, {"a": 1.0})

    def test_a_real_run_offline(self, tmp_path: Path) -> None:
        """With wandb itself: rows, picture and exit code are in its file, and all is below the run folder."""
        picture, checkpoint, run = tmp_path / "grid.png", tmp_path / "checkpoint", tmp_path / "run"
        Image.new("RGB", (8, 8), (200, 10, 10)).save(picture)
        checkpoint.mkdir()
        (checkpoint / "model.safetensors").write_bytes(b"weights")
        done = python(
            f"""
            import os, random
            from pathlib import Path
            from translate.reporting.tracking import TrackedRun, choose_trackers, open_trackers
            folder = Path({str(run)!r})
            tracker = open_trackers(choose_trackers("offline"), TrackedRun(folder, "a run", {{}}, "abc"))
            random.seed(0)
            state = random.getstate()
            for step in (100, 200, 300):
                tracker.log(step, {{"generator/l1": step / 1000, "bad": float("nan")}})
            tracker.images(300, "samples", Path({str(picture)!r}))
            tracker.artifact("model", Path({str(checkpoint)!r}), ["best"])
            tracker.summary({{"best/step": 200, "best/l1": 0.25}})
            assert tracker.running[0]._run.url is None
            tracker.finish(exit_code=3)
            assert random.getstate() == state
            """,
            HOME=str(tmp_path / "home"),
            WANDB_ERROR_REPORTING="false",
            WANDB_SILENT="true",
            WANDB_DISABLE_GIT="true",
            WANDB_CONFIG_DIR=str(tmp_path / "config"),
        )
        assert done.returncode == 0 and not done.stderr, done.stderr
        (folder,) = (run / "wandb").glob("offline-run-*-abc")
        told = subprocess.run(
            [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(folder)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={**os.environ, "WANDB_ERROR_REPORTING": "false"},
        )
        summary = json.loads(told.stdout)
        assert (summary["run_id"], summary["name"], summary["project"]) == ("abc", "a run", "translate")
        assert (summary["step"], summary["exit_code"]) == (300, 3)
        assert summary["summary"]["generator/l1"] == 0.3 and summary["summary"]["bad"] == "NaN"
        assert (summary["summary"]["best/step"], summary["summary"]["best/l1"]) == (200, 0.25)
        assert list(folder.glob("files/media/images/samples*.png"))
        assert [file.read_bytes() for file in (run / "wandb" / "data").rglob("*") if file.is_file()] == [b"weights"]
