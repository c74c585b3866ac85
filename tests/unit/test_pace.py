"""How long a run will take is said once, from its first 20 steps."""

import torch

from translate.training.loop import STEPS, Pace


def told(total: int, done: int = 0, slow: float = 0.0) -> list[tuple[int, str]]:
    """What is told of steps of half a second each, the first of which takes `slow` more; with the step at which."""
    now, lines, at = 0.0, [], done
    pace = Pace(done, total, torch.device("cpu"), lambda line: lines.append((at, line)), clock=lambda: now)
    for at in range(done + 1, total + 1):
        now += 0.5 + (slow if at == done + 1 else 0)
        pace.step(at)
    return lines


def test_after_twenty_steps_it_says_once_how_long_the_rest_takes() -> None:
    assert told(1900) == [(STEPS, "the 1,880 steps to go will take about 15:40 at this pace")]


def test_a_slow_first_step_does_not_count() -> None:
    assert told(1900, slow=60) == told(1900)


def test_a_resumed_run_measures_its_own_steps() -> None:
    assert told(1900, done=1000) == [(1020, "the 880 steps to go will take about 7:20 at this pace")]


def test_a_run_that_is_over_by_then_says_nothing() -> None:
    assert told(STEPS) == [] and told(3) == []
