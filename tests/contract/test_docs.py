"""docs/divergences.md says what is computed: its table, every figure in its text, and its pictures."""

import importlib
import math
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "divergences.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (.+) \| (−?\d+\.\d{4}) \|$", re.MULTILINE)
DECIMAL = re.compile(r"−?\d+\.\d+")


def _number(written):
    return float(written.replace("−", "-"))


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        yield importlib.import_module("draw_divergences")


@pytest.fixture(scope="module")
def numbers(script):
    return script.numbers()


def test_the_table_holds_what_is_computed(numbers):
    table = {name: _number(value) for name, value in ROW.findall(PAGE)}
    assert table == pytest.approx(numbers, abs=1e-4)


def test_the_numbers_are_those_of_the_theory(numbers):
    game = numbers["2 JS − log 4 of the two Gaussians"]
    assert numbers["minimax value at the optimal discriminator"] == pytest.approx(game, abs=1e-10)
    assert numbers["minimax value of the trained discriminator"] == pytest.approx(game, abs=1e-4)
    assert numbers["JS, bumps 3 apart"] == pytest.approx(math.log(2), abs=1e-12)
    assert numbers["slope of JS, bumps 3 apart"] == pytest.approx(0, abs=1e-12)
    assert numbers["W1, bumps 3 apart"] == pytest.approx(3, abs=1e-6)
    assert numbers["slope of W1, bumps 3 apart"] == pytest.approx(1, abs=1e-6)
    # Forward KL matches the mixture's moments: mean 0, variance 1 + 4^2.
    assert numbers["forward KL: fitted mean"] == pytest.approx(0, abs=1e-3)
    assert numbers["forward KL: fitted standard deviation"] == pytest.approx(math.sqrt(17), abs=1e-4)
    # Reverse KL to one of two equal modes is the logarithm of 2, but for the little that the other mode adds.
    assert numbers["reverse KL at its fit"] == pytest.approx(math.log(2), abs=1e-3)
    assert numbers["reverse KL: fitted mean"] == pytest.approx(4, abs=1e-2)


def test_every_figure_in_the_text_is_computed_or_a_setting(script, numbers):
    text = re.sub(r"\[\d[^]]*\]", "", ROW.sub("", PAGE).partition("## Sources")[0])
    settings = {"1.5", "0.7"}  # of the second Gaussian
    found = set(DECIMAL.findall(text)) - settings
    assert found, "the text states results"
    for figure in found:
        places = len(figure.partition(".")[2])
        near = 0.51 * 10.0**-places
        assert any(abs(value - _number(figure)) <= near for value in numbers.values()), figure


def test_the_pictures_are_what_is_drawn(script, tmp_path):
    script.main(tmp_path)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert set(re.findall(r"pictures/(\w+\.svg)", PAGE)) == drawn.keys()
    for name, picture in drawn.items():
        committed = (DOCS / "pictures" / name).read_text(encoding="utf-8")
        assert re.sub(r"-?\d+\.\d", "#", committed) == re.sub(r"-?\d+\.\d", "#", picture), name
        places, expected = (list(map(float, re.findall(r"-?\d+\.\d", text))) for text in (committed, picture))
        assert places == pytest.approx(expected, abs=0.2), name  # of a pixel: the last digit may round otherwise
        assert len(committed) < 60_000


def test_every_function_named_exists():
    theory = importlib.import_module("translate.losses.theory")
    named = set(re.findall(r"`theory\.(\w+)", PAGE))
    assert {"kl", "reverse_kl", "js", "wasserstein1", "minimax_value"} <= named
    assert not [name for name in named if not hasattr(theory, name)]
