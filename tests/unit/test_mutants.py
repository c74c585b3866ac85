"""The mutants of the core are one change each, and name modules and tests that are there."""

import ast

from mutants_of_the_core import ROOT, TESTS, drawn, mutants, text_of

TEXT = '''
def scaled(images: Tensor, keep: bool = True) -> Tensor:
    """Says 1 < 2."""
    check(images)
    if images.dim() > 3 and not keep:
        raise ValueError(f"{1 + 1} too many")
    return -images.detach() * 2
'''


def test_a_mutant_is_one_change():
    found = {(mutant.before, mutant.after) for mutant in mutants("any", TEXT)}
    line, last = "if images.dim() > 3 and (not keep):", "return -images.detach() * 2"
    assert found == {
        ("check(images)", "None"),
        (line, "if images.dim() > 3 or not keep:"),
        (line, line.replace(">", ">=")),
        (line, line.replace("3", "6")),
        (line, line.replace("not keep", "not not keep")),
        (last, "return -images.detach() / 2"),
        (last, "return --images.detach() * 2"),
        (last, "return -(lambda same: same)(images) * 2"),
        (last, "return -images.detach() * 4"),
    }
    assert all(ast.parse(mutant.source) for mutant in mutants("any", TEXT))


def test_the_draw_is_the_same_each_time_and_from_every_module():
    found = [mutant for module in ("one", "other") for mutant in mutants(module, TEXT)]
    assert drawn(found, 6) == drawn(found[::-1], 6)
    assert [mutant.module for mutant in drawn(found, 4)] == ["one", "other"] * 2


def test_what_is_named_is_there():
    for module, tests in TESTS.items():
        assert next(mutants(module, text_of(module))).source
        assert all((ROOT / "tests" / test).is_file() for test in tests)
