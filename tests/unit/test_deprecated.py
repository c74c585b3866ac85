"""Names that README gave in 0.1 go on working, with a warning."""

import sys

import pytest
import warm

from translate.utils.deprecated import takes_old_names

OLD = """
import warnings
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    {line}
mine = [str(one.message) for one in heard if one.category is DeprecationWarning and "translate" in str(one.message)]
assert mine == ["{warning}"], mine
"""


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        ("from translate.adversarial import OBJECTIVES; OBJECTIVES['lsgan']", "adversarial", "losses.adversarial"),
        ("from translate import theory; theory.__doc__", "theory", "losses.theory"),
        ("import translate; translate.theory", "theory", "losses.theory"),
        ("from translate.model import Translator, Turn", "model", "models.base"),
        ("from translate.theory import *; kl, js", "theory", "losses.theory"),
        ("from translate.settings import Settings", "settings", "utils.settings"),
    ],
)
def test_a_module_is_found_by_its_old_name(line, old, new):
    code = OLD.format(line=line, warning=f"translate.{old} is called translate.{new} now")
    done = warm.run([sys.executable, "-c", code])
    assert done.returncode == 0, done.stderr


def test_what_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError):
        __import__("translate.advresarial")


def test_an_argument_is_taken_by_its_old_name():
    @takes_old_names(levers="options")
    def train(recipe: str, *, options: str = "auto") -> tuple[str, str]:
        return recipe, options

    with pytest.warns(DeprecationWarning, match="train.levers=...."):
        assert train("x", levers="plain") == ("x", "plain")
    assert train("x", options="plain") == ("x", "plain") and train("x") == ("x", "auto")
