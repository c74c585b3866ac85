"""`translate serve` and strangers: what is wrong with a request, tokens, other sites, and what it says it can do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest
from PIL import Image
from serving import PNG, Client, form, part, running, saved

from translate.serving import guard
from translate.serving.app import Service, application
from translate.serving.description import description
from translate.serving.guard import HEADERS
from translate.serving.options import ServingOptions
from translate.serving.server import Server
from translate.serving.wishes import FIELDS, Wish


@pytest.fixture(scope="module")
def cyclegan(trained_once: Callable[[str], Path]) -> Path:
    return trained_once("cyclegan") / "run-cyclegan"


@pytest.fixture(scope="module")
def server(cyclegan: Path) -> Iterator[Server]:
    with running([cyclegan], max_pixels=90_000) as started:
        yield started


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server.link)


"""`translate serve`: what it answers is what `translate convert` writes; limits, tokens, and what it says it can do."""
WRONG = {
    "no picture": (form(None), 400, "no picture was sent"),
    "a field of that name": (part("image", "text") + form(None), 400, "no picture was sent"),
    "another name": (part("file", PNG, "a.png") + form(None), 400, "in the field 'image'"),
    "two": (part("image", PNG, "a.png") + form(PNG), 400, "one picture at a time"),
    "empty": (form(b""), 400, "the file is empty"),
    "unknown field": (form(PNG, sise="3"), 400, "there is no field 'sise'; did you mean 'size'?"),
    "twice": (form(PNG, size=["3", "4"]), 400, "size is given twice"),
    "no size": (form(PNG, size="0"), 400, "size: 0: expected auto, native, trained or a number"),
    "no depth": (form(PNG, depth="9"), 400, "depth: '9' is none of target, same, 8, 16, float"),
    "no previews": (form(PNG, previews="yes"), 400, "previews: 'yes' is none of true, false"),
    "no model": (form(PNG, model="../etc"), 422, "model: there is no '../etc'; known: run-cyclegan"),
    "no checkpoint": (form(PNG, checkpoint="/etc/passwd"), 422, "run-cyclegan has no '/etc/passwd'; known: latest"),
    "no domain": (form(PNG, to="C"), 422, "to C: this model converts to"),
    "no domain chosen": (form(PNG), 422, "to is needed: this model converts to"),
    "two domains": (form(PNG, to=["A", "B"]), 422, "an image goes to one domain at a time"),
    "pixels": (
        form(saved(Image.new("L", (400, 300)), "PNG"), to="B"),
        413,
        "400 x 300 pixels are more than 90,000",
    ),
    "many fields": (form(PNG, to=["A"] * 999), 400, "the form is damaged"),
    "long value": (form(PNG, to="A" * 9999), 400, "the form is damaged"),
    "cut": (form(PNG)[:-40], 400, "no picture was sent"),
    "no form": (b"nonsense", 400, "the form is damaged"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(client, name) -> None:
    body, status, sentence = WRONG[name]
    answer = client.send(body)
    assert (answer.status, sentence in answer.error) == (status, True), answer.body
    assert "--" not in answer.error, "options are for those who type commands"


def test_other_bodies_and_addresses_are_refused(client) -> None:
    assert client.send(PNG, "image/png").status == client.send(form(PNG), "multipart/mixed").status == 415
    assert client.send(form(PNG), "multipart/form-data").error.startswith("the form is damaged")
    assert client.get("/api/convert").status == 405 and "POST" in client.get("/api/convert").headers["Allow"]
    assert client.get("/page.html").status == 404 and "openapi.json" in client.get("/page.html").error


def test_elsewhere_than_on_this_computer_a_token_is_needed(cyclegan) -> None:
    with running([cyclegan], host="0.0.0.0") as started:
        path, _, token = started.link.partition("?token=")
        client = Client(path)
        assert len(token) > 30
        for way in ("/", "/api/models", "/metrics", "/openapi.json", "/page.js", "/?token=wrong", "/nowhere"):
            answer = client.get(way)
            assert answer.status == 401 and "printed" in answer.error and token not in answer.body.decode()
        assert client.convert(PNG, to="B").status == 401
        assert client.get("/health").status == 200
        for wrong in ("Bearer", "Bearer x", "Bearer é", f"Basic {token}", f"Bearer {token}x", token):
            assert client.get("/api/models", Authorization=wrong.encode()).status == 401
        assert client.get("/api/models", Authorization=f"Bearer {token}").status == 200
        opened = client.get(f"/?token={token}")
        assert opened.status == 303 and opened.headers["Location"] == "/"
        cookie = opened.headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie
        name = cookie.partition("=")[0]
        assert client.get("/", Cookie=cookie.partition(";")[0]).status == 200
        assert client.get("/", Cookie=f"{name}=x").status == client.get("/", Cookie=f"other={token}").status == 401
        assert client.get("/api/models", Host="anybody.example", Authorization=f"Bearer {token}").status == 200


def test_tokens_are_compared_in_constant_time(monkeypatch) -> None:
    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda one, other: compared.append((one, other)) or one == other)
    assert guard._equal("right", "right") and not guard._equal("wrong", "right")
    assert compared == [(b"right", b"right"), (b"wrong", b"right")]
    assert guard.new_token() != guard.new_token()


def test_on_this_computer_no_other_name_and_no_other_site_leads_here(client) -> None:
    port = client.connection().port
    for host in ("127.0.0.1", f"127.0.0.1:{port}", "localhost:9", f"[::1]:{port}"):
        assert client.get("/health", Host=host).status == 200
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "",
        "[bad",
        "localhost@evil",
    ):
        assert client.get("/api/models", Host=host).status in (400, 403), host
    own = f"http://127.0.0.1:{port}"
    assert client.send(form(PNG, to="B"), Origin=own).status == 200
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", f"http://localhost:{port}", "http://[bad"):
        assert client.send(form(PNG, to="B"), Origin=origin).status == 403, origin


def test_every_answer_tells_browsers_what_to_keep_to(client) -> None:
    for answer in (client.get("/"), client.get("/api/models"), client.get("/nowhere"), client.convert(b"x"),
                   client.get("/", Host="evil.example"), client.convert(PNG, to="B")):  # fmt: skip
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy and "http" not in policy


def test_the_page_asks_nobody_else_and_has_nothing_inline(client) -> None:
    page = client.get("/").body.decode()
    for text in (page, client.get("/page.js").body.decode(), client.get("/page.css").body.decode()):
        assert len(text) > 2000 and "//" not in re.sub(r"^\s*// .*$|blob:", "", text, flags=re.MULTILINE)
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)|javascript:", page)
    assert {client.get(f"/{link}").status for link in re.findall(r'(?:src|href)="([^"]+)"', page)} == {200}


@pytest.mark.parametrize(
    "path",
    ["/../app.py", "/page/page.html", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/page.js/../../app.py", "/..%2f"],
)
def test_no_file_of_the_server_can_be_read(client, path) -> None:
    answer = client.get(path)
    assert answer.status == 404 and "import" not in answer.body.decode()


def test_the_description_has_every_route_and_field_and_no_other(server, client) -> None:
    document = client.get("/openapi.json").json
    assert document == description() and document["openapi"].startswith("3.1")
    routes = {
        (route.path, method.lower())
        for route in application(Service(server.service.shelf, ServingOptions())).routes
        for method in route.methods - {"HEAD"}
        if route.include_in_schema
    }
    assert routes == {(path, method) for path, each in document["paths"].items() for method in each}
    convert = document["paths"]["/api/convert"]["post"]
    form_fields = convert["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert [one["name"] for one in convert["parameters"]] == list(FIELDS) == list(Wish.__dataclass_fields__)
    assert list(form_fields) == ["image", *FIELDS]
    assert convert["parameters"][-1]["schema"] == {"type": "boolean"}
    assert set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document))) == {"Error"}


def test_answers_are_what_the_description_says(client) -> None:
    document = client.get("/openapi.json").json
    paths, error = document["paths"], document["components"]["schemas"]["Error"]
    for path in ("/api/models", "/health", "/metrics", "/openapi.json"):
        answer, described = client.get(path), paths[path]["get"]["responses"]["200"]["content"]
        assert list(described) == [answer.headers.get_content_type()]
        if path != "/metrics":
            jsonschema.validate(answer.json, closed(described["application/json"]["schema"]))
    for answer in (client.convert(b"x"), client.get("/health", Host="evil.example"), client.convert(PNG, to="C")):
        assert str(answer.status) in paths["/api/convert"]["post"]["responses"]
        jsonschema.validate(answer.json, closed(error))
    for name, field in FIELDS.items():
        jsonschema.Draft202012Validator.check_schema(field.schema)
        plain = {"to": ["a"], "size": 64, "previews": True, "depth": "16", "format": "png"}.get(name, "latest")
        jsonschema.validate(plain, field.schema)


def closed(schema: dict) -> dict:
    """The schema, whose objects have no other properties than it says."""
    if "properties" in schema:
        inner = {name: closed(one) for name, one in schema["properties"].items()}
        return {**schema, "properties": inner, "additionalProperties": False}
    return {**schema, "items": closed(schema["items"])} if "items" in schema else schema
