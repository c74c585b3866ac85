"""Many files in one line."""

from pathlib import Path

from translate.data.messages import by_fault, few
from translate.errors import folded, nearest


def test_a_list_takes_one_line_and_counts_the_rest() -> None:
    assert folded(["a", "b", "c", "d"]) == "a, b, c, d" and folded([]) == ""
    words = [f"word{number:04d}" for number in range(20)]
    assert folded(words) == ", ".join(words[:10]) + " and 10 more" and len(folded(words)) < 120
    assert folded(["x" * 90] * 20).count("x" * 90) == 3 and folded(["x" * 90] * 20).endswith(" and 17 more")


def test_files_are_counted_and_named_within_the_folder_that_they_share() -> None:
    assert few([Path("/data/a/1.png")]) == "1: /data/a/1.png"
    assert few([Path("/data/a/1.png"), Path("/data/b/2.png")]) == "2: a/1.png, b/2.png in /data"
    assert few([Path("/x/1.png"), Path("/y/2.png")]) == "2: /x/1.png, /y/2.png"
    assert few([Path("x/1.png"), Path("/y/2.png")]) == "2: x/1.png, /y/2.png"
    one, twin = Path("/data/a/1.png"), Path("/data/b/2.png")
    assert few([one], {one: twin}) == "1: a/1.png (b/2.png) in /data"
    many = few([Path(f"/data/{number}.png") for number in range(2000)])
    assert many.startswith("2,000: 0.png, 1.png, ") and many.endswith(" more in /data") and len(many) < 160


def test_one_fault_of_many_files_is_one_line() -> None:
    faults = {Path(f"/data/{number}.png"): f"/data/{number}.png: empty" for number in range(20)}
    (line,) = by_fault(faults)
    assert line.startswith("empty: 20: 0.png, 1.png, ") and line.endswith(" in /data")
    three = dict(list(faults.items())[:3])
    assert by_fault(three) == list(three.values())
    assert by_fault({Path("/a.png"): "/a.png: x", Path("/b.png"): "/b.png: y"}) == ["/a.png: x", "/b.png: y"]


def test_choices_are_all_listed_unless_there_are_very_many() -> None:
    assert nearest("zzz", [f"a{i}" for i in range(40)]).endswith("a39")
    assert nearest("zzz", [f"a{i}" for i in range(1000)]).endswith(" more")
