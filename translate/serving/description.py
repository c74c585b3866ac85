"""The API described as OpenAPI 3.1, for programs and for those who write them."""

from __future__ import annotations

from typing import Any

from translate.serving.uploads import IMAGE
from translate.serving.wishes import FIELDS
from translate.version import __version__

_ERRORS = {
    "400": "The form is damaged, a field is unknown, or there is no picture.",
    "408": "The picture did not arrive in time.",
    "413": "The picture has too many bytes or pixels.",
    "415": "It is no picture of a kind that is read here.",
    "422": "The picture is damaged, or the model cannot do this with it.",
    "429": "Too many pictures are in line; Retry-After says when to come back.",
    "500": "A fault of the server.",
    "503": "The server is stopping, or the picture was not done in time.",
}
_WHO = {"401": "The token is missing or wrong.", "403": "Sent by a page of another site, or to another name."}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_TEXT = {"type": "string"}


def description() -> dict[str, Any]:
    """The document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "translate",
            "version": __version__,
            "description": "Translates pictures with trained models, one after another.",
        },
        "paths": {
            "/api/convert": {"post": _convert()},
            "/api/models": {"get": _get("Which models there are, what they take and give, and the limits.", _models())},
            "/health": {"get": _get("Whether pictures are taken.", _object({"status": {"const": "ok"}}), ("503",))},
            "/metrics": {"get": _get("Counts, as Prometheus reads them.", None)},
            "/openapi.json": {"get": _get("This document.", {"type": "object"})},
        },
        "components": {
            "schemas": {"Error": _object({"error": {"type": "string", "description": "One sentence."}})},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _convert() -> dict[str, Any]:
    properties = {name: {**field.schema, "description": field.about} for name, field in FIELDS.items()}
    image = {"type": "string", "format": "binary", "description": "PNG, JPEG, WebP, TIFF, BMP or GIF."}
    both = "Fields may stand in the query or in the form, each once, 'to' as often as needed."
    return {
        "summary": "Translate a picture",
        "description": both,
        "parameters": [
            {"name": name, "in": "query", "description": field.about, "schema": field.schema}
            for name, field in FIELDS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {**_object({IMAGE: image, **properties}), "required": [IMAGE]},
                }
            },
        },
        "responses": {
            "200": {
                "description": "The translation, or with previews a form with 'image', 'before' and 'after'.",
                "headers": {
                    "Translate-Notes": {"description": "What became of the picture, in words.", "schema": _TEXT},
                    "Content-Disposition": {"description": "A name for the file.", "schema": _TEXT},
                },
                "content": {"image/*": _BINARY, "multipart/form-data": {"schema": _previews()}},
            },
            **_errors(tuple(_ERRORS)),
        },
    }


def _previews() -> dict[str, Any]:
    return _object(dict.fromkeys((IMAGE, "before", "after"), _BINARY["schema"]))


def _models() -> dict[str, Any]:
    target = _object({"name": _TEXT, "attribute": {"type": "boolean"}, "takes": _TEXT, "gives": _TEXT})
    model = {
        "name": _TEXT,
        "checkpoints": {"type": "array", "items": _TEXT},
        "checkpoint": {"type": "string", "description": "The one that is taken unless a request names another."},
        "to": {"type": "array", "items": target},
        "trained": {"type": "string", "description": "The scale of training; empty where it is not known."},
    }
    names = ("max_bytes", "max_pixels", "waiting", "timeout")
    limits = _object({name: {"type": "integer"} for name in names})
    return _object({"models": {"type": "array", "items": _object(model)}, "limits": limits, "version": _TEXT})


def _get(summary: str, schema: dict[str, Any] | None, errors: tuple[str, ...] = ()) -> dict[str, Any]:
    content = {"text/plain": {"schema": _TEXT}} if schema is None else {"application/json": {"schema": schema}}
    return {"summary": summary, "responses": {"200": {"description": "OK", "content": content}, **_errors(errors)}}


def _errors(statuses: tuple[str, ...]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {status: {"description": (_ERRORS | _WHO)[status], "content": content} for status in (*_WHO, *statuses)}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
