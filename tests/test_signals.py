"""A run that is told to stop saves and stops; started again it goes on."""

import os
import signal

import pytest
from tiny import unpaired_folder

from translate.checkpoint import saved_steps
from translate.trainer import Trainer


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_after_the_step_and_leaves(run_cli, tiny_recipe, tmp_path, monkeypatch, number, code):
    step = Trainer.step

    def step_and_signal(self, batch):
        step(self, batch)
        if self.steps == 3:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Trainer, "step", step_and_signal)
    data = unpaired_folder(tmp_path / "horse2zebra")
    arguments = ["train", tiny_recipe("cyclegan"), "--data", data, "--out", "run", "--device", "cpu"]
    stopped = run_cli(*arguments)
    assert stopped.exit_code == code
    assert "after step 3" in stopped.stderr and "--resume" in stopped.stderr
    assert saved_steps(tmp_path / "run" / "checkpoints") == [2, 3]
    assert (tmp_path / "run" / "report.html").is_file()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    resumed = run_cli(*arguments, "--resume")
    assert resumed.exit_code == 0 and "after step 3" in resumed.stderr
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
