"""`translate watch`: what it reads of runs that train, are cut off, damaged or gone; and whom it answers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from patience import PATIENCE
from PIL import Image
from serving import Answer, Client, watched

from translate.cli import main
from translate.errors import ConfigurationError
from translate.reporting.tracking import save_pictures
from translate.runs import folder
from translate.runs.folder import locked
from translate.serving import following, watching
from translate.serving import watched as watched_runs
from translate.serving.following import MOST_BINS, Curve, Tail
from translate.serving.guard import HEADERS
from translate.serving.watched import SPEED, WatchedRun
from translate.serving.watching import View, Watching
from translate.training.asked import FILE as ASKED
from translate.training.progress_file import FILE as PROGRESS
from translate.utils.stored import json_text

RECIPE = "model: {name: pix2pix}\ndata: {set: shapes}\ntraining: {steps: 100, batch_size: 4, lr: 0.0002, seed: 7}\n"
PAGE = {"Translate-Page": "watch"}


def rows(*steps: int, **values: Any) -> str:
    given = values or {"generator/l1": 0.5}
    return "".join(json.dumps({"step": step, "time": 1e9 + step, **given}) + "\n" for step in steps)


def make(run: Path, metrics: str = "", samples: tuple[int, ...] = (), **progress: Any) -> Path:
    run.mkdir(parents=True, exist_ok=True)
    (run / "recipe.yaml").write_text(RECIPE)
    (run / "metrics.jsonl").write_text(metrics)
    for step in samples:
        red, blue = Image.new("RGB", (24, 16), (255, 0, 0)), Image.new("RGB", (24, 16), (0, 0, step % 256))
        save_pictures(run / "samples" / f"step-{step:08d}.png", {"input": [red, red], "output": [blue, blue]})
    if progress:
        (run / PROGRESS).write_text(json.dumps(progress))
    return run


def read(run: WatchedRun) -> dict[str, Any]:
    while run.read():
        pass
    return run.summary("")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SECONDS", 0.05)


# Files


def test_lines_come_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    tail = Tail(path)
    assert tail.lines() == (False, [])
    path.write_bytes(b"one\ntwo\nthr")
    assert tail.lines() == (False, [b"one", b"two"])
    with path.open("ab") as file:
        file.write(b"ee\n")
    assert tail.lines() == (False, [b"three"]) and tail.lines() == (False, [])


@pytest.mark.parametrize("content", [b"one\n", b"one\nTWO\nthree\nfour\n", b""])
def test_a_file_cut_off_or_replaced_begins_again(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows"
    path.write_bytes(b"one\ntwo\nthree\n")
    tail = Tail(path)
    tail.lines()
    path.write_bytes(content)
    assert tail.lines() == (True, content.splitlines())


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The rows that were parsed."""
    found: list[bytes] = []
    parse = watched_runs.parse_json
    monkeypatch.setattr(watched_runs, "parse_json", lambda line, *how: (found.append(line), parse(line, *how))[1])
    return found


def test_a_large_file_is_read_in_pieces_and_its_end_alone_later(
    tmp_path: Path, parsed: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_PIECE", 100_000)
    run = make(tmp_path / "run", rows(*range(1, 6000)))
    assert (run / "metrics.jsonl").stat().st_size > 300_000
    seen = WatchedRun(run, "run")
    pieces = 1
    while seen.read():
        pieces += 1
    assert pieces >= 3 and seen.summary("")["step"] == 5999
    assert all(len(curve.bins) <= MOST_BINS for curve in seen.curves.values())
    with (run / "metrics.jsonl").open("a") as file:
        file.write(rows(6000))
    parsed.clear()
    assert read(seen)["step"] == 6000 and len(parsed) == 1


def test_a_curve_keeps_means_and_ranges_in_few_bins() -> None:
    curve = Curve()
    for step in range(1, 100_001):
        curve.add(step, float(step % 2))
    assert MOST_BINS / 2 <= len(curve.bins) <= MOST_BINS
    assert all(abs(mean - 0.5) < 0.01 and (low, high) == (0, 1) for _, mean, low, high in curve.bins[:-1])
    assert [bin[0] for bin in curve.bins] == sorted(bin[0] for bin in curve.bins)


def test_a_curve_says_from_where_it_has_changed() -> None:
    curve = Curve()
    curve.add(1, 1.0)
    start, mark = curve.since(None) or pytest.fail()
    assert start == 0 and curve.since(mark) is None
    curve.add(2, 2.0)
    assert (curve.since(mark) or pytest.fail())[0] == 0
    _, mark = curve.since(mark) or pytest.fail()
    curve.add(3, float("nan"))
    assert curve.since(mark) is not None and curve.not_finite == 1
    for step in range(4, MOST_BINS + 10):
        curve.add(step, 0.0)
    assert (curve.since(mark) or pytest.fail())[0] == 0, "bins were merged"


# Runs


def test_a_run_that_is_resumed_begins_anew_on_the_page(tmp_path: Path) -> None:
    run = make(tmp_path / "run", rows(10, 20, 30))
    service = Watching([tmp_path])
    service.read()
    [seen] = service.runs.values()
    view = View(service, seen.id, "")
    assert [bin[0] for bin in view.news()["curves"]["generator/l1"]["bins"]] == [10, 20, 30]
    (run / "metrics.jsonl").write_text(rows(10, 20))
    read(seen)
    news = view.news()
    assert news["anew"] and [bin[0] for bin in news["curves"]["generator/l1"]["bins"]] == [10, 20]
    assert news["changed"][seen.id]["step"] == 20 and view.news() == {}


def test_speed_comes_of_the_times_of_rows(tmp_path: Path) -> None:
    seen = WatchedRun(make(tmp_path / "run", rows(10, 20) + rows(20, **{"validation/x/l1": 1.0}) + rows(30)), "run")
    read(seen)
    assert [bin[:2] for bin in seen.curves[SPEED].bins] == [[20, 4.0], [30, 4.0]], "ten steps of four in ten seconds"


def test_what_a_run_says_of_itself(tmp_path: Path) -> None:
    run = make(
        tmp_path / "run", rows(5), (0, 5), state="trains", step=7, total=100, images_per_second=3.5, runtime="cpu"
    )
    seen = WatchedRun(run, "run")
    with locked(run / folder.LOCK):
        said = read(seen)
    assert (said["state"], said["step"], said["total"], said["images_per_second"]) == ("trains", 7, 100, 3.5)
    assert [step for step, _ in seen.details()["samples"]] == [0, 5]
    assert dict(seen.details()["facts"]) == {
        "method": "pix2pix", "data": "shapes", "batch size": "4", "learning rate": "0.0002", "seed": "7"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("progress", "state"),
    [
        ({"state": "ended", "step": 100, "total": 100}, "ended"),
        ({"state": "ended", "step": 60, "total": 100}, "early"),
        ({"state": "stopped", "step": 60, "total": 100, "why": "asked"}, "stopped"),
        ({"state": "failed", "step": 60, "total": 100, "why": "no memory"}, "failed"),
        ({"state": "trains", "step": 60, "total": 100}, "broken"),
        ({}, "unknown"),
    ],
)
def test_how_a_run_ended(tmp_path: Path, progress: dict[str, Any], state: str) -> None:
    said = read(WatchedRun(make(tmp_path / "run", rows(progress.get("step", 60)), **progress), "run"))
    assert said["state"] == state and said["why"] == (progress.get("why", ""))


def test_a_run_of_an_earlier_version_trains_while_it_is_locked(tmp_path: Path) -> None:
    run = make(tmp_path / "run", rows(1))
    with locked(run / folder.LOCK):
        assert read(WatchedRun(run, "run"))["state"] == "trains"


def test_a_run_that_begins_waits_for_who_only_looks(tmp_path: Path) -> None:
    """Whoever asks whether it trains holds its lock for a moment."""
    lock, ready = tmp_path / folder.LOCK, threading.Event()

    def look() -> None:
        with locked(lock):
            ready.set()
            time.sleep(0.05)

    looking = threading.Thread(target=look)
    looking.start()
    ready.wait()
    with locked(lock, folder._LOOKED_AT):
        looking.join()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.jsonl", b'{"step": 1, "time": 1.0, "generator/l1": 0.5}\nnot json\n[1]\n{"step": "x"}\n{"a": 1}\n'),
        ("metrics.jsonl", b"x" * 2_000_000),
        (PROGRESS, b"{"),
        (PROGRESS, b'{"state": "dances"}'),
        ("recipe.yaml", b"a: [b\n"),
        ("recipe.yaml", b"\xff\xfe\x00"),
        ("doctor.jsonl", b"{}\n"),
        ("checkpoints/latest", b"elsewhere"),
    ],
)
def test_a_damaged_file_is_named_and_hides_nothing_else(tmp_path: Path, name: str, content: bytes) -> None:
    run = make(tmp_path / "run", rows(1), (1,))
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).write_bytes(content)
    seen = WatchedRun(run, "run")
    read(seen)
    [trouble] = seen.troubles.values()
    assert Path(name).name in trouble and str(tmp_path) not in trouble
    assert len(seen.details()["samples"]) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    for name in ("metrics.jsonl", PROGRESS, ASKED):
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)
    seen = WatchedRun(run, "run")
    read(seen)
    assert {"metrics.jsonl"} <= seen.troubles.keys()


def test_runs_come_and_go_wherever_they_lie(tmp_path: Path) -> None:
    service = Watching([tmp_path])
    service.read()
    assert service.runs == {}
    for name in ("a", "group/b", "ünï <img src=x>"):
        make(tmp_path / name, rows(1))
    (tmp_path / "no run").mkdir()
    service._read_at = 0
    service.read()
    assert [run.name for run in service.runs.values()] == ["a", "group/b", "ünï <img src=x>"]
    shutil.rmtree(tmp_path / "a")
    service._read_at = service._found_at = 0
    service.read()
    assert [run.name for run in service.runs.values()] == ["group/b", "ünï <img src=x>"]


def test_two_hundred_runs_are_read_and_not_again_while_nothing_happens(tmp_path: Path, parsed: list[bytes]) -> None:
    for number in range(200):
        make(tmp_path / f"run-{number:03}", rows(1, 2, 3))
    service = Watching([tmp_path])
    service.read()
    view = View(service, "", "")
    while len(service.runs) < 200 or service._read_at == 0:
        service.read()
    assert len(view.news()["changed"]) == 200
    parsed.clear()
    service._read_at = 0
    service.read()
    assert view.news() == {} and parsed == []


def test_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        Watching([tmp_path / "nothing"])
    assert CliRunner().invoke(main, ["watch", str(tmp_path / "nothing"), "--port", "0"]).exit_code == 2


# The server


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """One that trains, as far as anybody can see."""
    made = make(tmp_path / "runs" / "one", rows(1, 2), (0, 2), state="trains", step=2, total=100)
    with locked(made / folder.LOCK):
        yield made


@pytest.fixture
def server(run: Path) -> Iterator[Any]:
    with watched(run.parent) as started:
        yield started


@pytest.fixture
def client(server: Any) -> Client:
    return Client(server.link)


class Stream:
    """Server-sent events as they come."""

    def __init__(self, client: Client, run: str = "", **headers: str) -> None:
        self._connection = client.connection()
        self._connection.request("GET", f"/api/events?run={run}", headers=headers)
        self.answer = self._connection.getresponse()

    def next(self) -> dict[str, Any]:
        while True:
            line = self.answer.readline()
            assert line, "the stream has ended"
            if line.startswith(b"data: "):
                return json.loads(line[6:])

    def close(self) -> None:
        self._connection.sock and self._connection.sock.close()
        self.answer.close()


def id_of(client: Client) -> str:
    stream = Stream(client)
    try:
        return stream.next()["runs"][0]
    finally:
        stream.close()


def test_events_tell_what_has_changed_and_no_more(run: Path, client: Client) -> None:
    stream = Stream(client, id_of(client))
    assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
    first = stream.next()
    assert first["details"]["samples"] and first["curves"]["generator/l1"]["words"] == ["generator", "l1"]
    with (run / "metrics.jsonl").open("a") as file:
        file.write(rows(3))
    more = stream.next()
    assert more.keys() == {"changed", "curves"} and [bin[0] for bin in more["curves"]["generator/l1"]["bins"]] == [2, 3]
    stream.close()


def test_samples_and_their_places(run: Path, client: Client) -> None:
    id = id_of(client)
    picture = client.get(f"/api/runs/{id}/samples/2")
    assert picture.headers["Content-Type"] == "image/png"
    assert picture.body == (run / "samples" / "step-00000002.png").read_bytes()
    places = client.get(f"/api/runs/{id}/places/2").json
    assert places["columns"] == ["input", "output"] and len(places["boxes"]) == 2


def test_a_run_is_asked_and_one_that_has_ended_is_not(run: Path, client: Client) -> None:
    id = id_of(client)
    for wish in ("save", "stop"):
        assert client.ask("POST", f"/api/runs/{id}/{wish}", headers=PAGE).status == 200
        assert (run / ASKED).read_text() == f"{wish}\n"
    (run / ASKED).unlink()
    stream = Stream(client)
    stream.next()
    (run / PROGRESS).write_text(json.dumps({"state": "ended", "step": 100, "total": 100}))
    assert stream.next()["changed"][id]["state"] == "ended"
    assert client.ask("POST", f"/api/runs/{id}/stop", headers=PAGE).status == 409 and not (run / ASKED).exists()
    stream.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/runs/{id}/samples/3"),
        ("GET", "/api/runs/{id}/samples/..%2f..%2fsecret"),
        ("GET", "/api/runs/{id}/places/99999999999999999999999999"),
        ("GET", "/api/runs/../secret/samples/2"),
        ("GET", "/api/runs/%2fetc/samples/2"),
        ("GET", "/secret"),
        ("GET", "/../secret"),
        ("GET", "/watch.py"),
        ("POST", "/api/runs/{id}/delete"),
        ("POST", "/api/runs/..%2fother/stop"),
        ("POST", "/api/runs/nobody/stop"),
    ],
)
def test_no_path_of_a_client_leads_anywhere(run: Path, client: Client, method: str, path: str) -> None:
    (run.parent / "secret").write_text("secret")
    answer = client.ask(method, path.format(id=id_of(client)), headers=PAGE)
    assert answer.status in (404, 405) and answer.error and b"secret" not in answer.body.lower()
    assert not (run / ASKED).exists()


def test_samples_that_are_no_pictures_or_lie_elsewhere_are_not_given(run: Path, client: Client, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.png").write_bytes((run / "samples" / "step-00000002.png").read_bytes())
    (run / "samples" / "step-00000007.png").symlink_to(tmp_path / "elsewhere.png")
    (run / "samples" / "step-00000008.png").write_text("secret")
    stream = Stream(client)
    stream.next()
    id = id_of(client)
    for step in (7, 8):
        assert client.get(f"/api/runs/{id}/samples/{step}").status == 404
        assert client.get(f"/api/runs/{id}/places/{step}").status == 404
    stream.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:80", "Origin": "http://evil.example:80"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Translate-Page": ""}, 403),
    ],
)
def test_strangers_ask_nothing(run: Path, client: Client, headers: dict[str, str], status: int) -> None:
    id = id_of(client)
    answer = client.ask("POST", f"/api/runs/{id}/stop", headers=PAGE | headers)
    assert answer.status == status and answer.error and not (run / ASKED).exists()
    if "Translate-Page" not in headers:
        assert client.get("/api/events", **headers).status == 403
        assert client.get("/", **headers).status == 403


def test_nothing_is_changed_by_looking(run: Path, client: Client) -> None:
    id = id_of(client)
    assert client.get(f"/api/runs/{id}/stop", **PAGE).status == 405 and not (run / ASKED).exists()


def test_with_a_token_nobody_else_watches_or_asks(run: Path) -> None:
    with watched(run.parent, token=True) as server:
        link, _, token = server.link.partition("?token=")
        client = Client(link)
        assert token and client.get("/").status == 401
        assert client.get("/api/events").status == 401 and client.get("/watch.js").status == 401
        stream = Stream(client, Authorization=f"Bearer {token}")
        [id] = stream.next()["runs"]
        stream.close()
        assert client.ask("POST", f"/api/runs/{id}/stop", headers=PAGE).status == 401 and not (run / ASKED).exists()
        with_it = PAGE | {"Authorization": f"Bearer {token}"}
        assert client.ask("POST", f"/api/runs/{id}/stop", headers=with_it).status == 200


def test_the_page_and_its_parts_keep_to_themselves(client: Client) -> None:
    for path in ("/", "/watch.js", "/charts.js", "/samples.js", "/watch.css"):
        answer: Answer = client.get(path)
        assert answer.status == 200 and all(answer.headers[name] == value for name, value in HEADERS.items())
        assert (
            b"http://" not in answer.body.replace(b"http://www.w3.org/2000/svg", b"") and b"https://" not in answer.body
        )


def test_many_clients_slow_ones_and_ones_that_leave(
    run: Path, server: Any, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[float] = []
    read = WatchedRun.read
    monkeypatch.setattr(WatchedRun, "read", lambda self: (reads.append(time.monotonic()), read(self))[1])
    monkeypatch.setattr(watching, "_CLIENTS", 20)
    streams = [Stream(client) for _ in range(20)]
    assert all(stream.next()["runs"] for stream in streams)
    refused = client.get("/api/events")
    assert refused.status == 503 and "close one" in refused.error
    for stream in streams[1:]:
        stream.close()
    deadline = time.monotonic() + PATIENCE
    while server.service.streams > 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.service.streams == 1
    before = len(reads)
    with (run / "metrics.jsonl").open("a") as file:
        file.write(rows(3))
    assert streams[0].next()["changed"] and len(reads) - before < 60, "one look serves all"
    streams[0].close()


def test_streams_that_are_asked_for_at_once_are_no_more_than_are_allowed(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_CLIENTS", 3)
    service = Watching([run])

    async def begun() -> list[str]:
        streams = [service._stream(View(service, "", "")) for _ in range(5)]
        firsts = [await anext(stream) for stream in streams]
        rest = [await anext(stream, "") for stream in streams]
        for stream in streams:
            await stream.aclose()
        return [first if not more else "watches" for first, more in zip(firsts, rest, strict=True)]

    assert asyncio.run(begun()) == ["watches"] * 3 + ["retry: 10000\n\n"] * 2 and service.streams == 0


def test_numbers_without_measure_and_bombs_in_a_run_end_no_stream(tmp_path: Path) -> None:
    huge = "1" + "0" * 400
    lines = [f'{{"step": {huge}, "a/b": 1.0}}', f'{{"step": 1, "a/b": {huge}}}', '{"step": -5, "a/b": 1.0}']
    lines += ['{"step": 2, "a/c": 1e308}', '{"step": 3, "a/c": -1e308}', '{"step": 4, "a/c": 0.5}']
    folder = make(tmp_path / "runs" / "one", "\n".join(lines) + "\n")
    nine = [f"{two}: &{two} [{', '.join([f'*{one}'] * 9)}]" for one, two in pairwise("abcdefghijkl")]
    bomb = ["a: &a [x, x]", *nine]
    (folder / "recipe.yaml").write_text("\n".join([*bomb, "data: {set: *l}"]))
    run = WatchedRun(folder, "one")
    told = read(run)
    assert told["step"] == 4 and run.curves["a/c"].not_finite == 2 and run.curves["a/c"].bins == [[4, 0.5, 0.5, 0.5]]
    assert "3 lines are no rows" in run.troubles["metrics.jsonl"] and "anchors" in run.troubles["recipe.yaml"]
    service = Watching([tmp_path / "runs"])
    service.read()
    news = View(service, run.id, "").news()
    assert json.loads(json_text(news))["details"]["troubles"] == list(run.troubles.values())


def test_a_step_of_any_length_is_one_that_is_not_there(client: Client, run: Path) -> None:
    id = WatchedRun(run, "").id
    for step in ("9" * 5000, "-1", "1.5", "x", "0x1"):
        for what in ("samples", "places"):
            assert client.get(f"/api/runs/{id}/{what}/{step}").status == 404


def test_a_server_stops_while_somebody_watches_and_does_not_read(run: Path) -> None:
    with watched(run.parent) as server:
        stream = Stream(Client(server.link))
        stream.next()
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE
    stream.close()


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    said = CliRunner().invoke(main, ["watch"])
    assert said.exit_code == 2 and "pip install 'image-translate[serve]'" in said.output


def test_a_lock_is_looked_at_seldom(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Path] = []
    monkeypatch.setattr(watched_runs, "trains", lambda path: not looks.append(path))
    seen = WatchedRun(run, "run")
    for _ in range(10):
        assert read(seen)["state"] == "trains"
    assert len(looks) == 1
