"""What every server here answers with: the files of a page, and one sentence where something is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from translate.reporting.page import rendered
from translate.serving.refusal import FAULT, Refusal

_PAGE = Path(__file__).with_name("page")
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


def page_routes(page: str, *others: str) -> list[Route]:
    """Routes to the files of a page, itself at "/"; its style comes on top of that of reports and of all controls."""
    texts = {name: (_PAGE / name).read_text("utf-8") for name in (page, *others)}
    answers = {f"/{name}": (_styled(name, text), _KINDS[Path(name).suffix]) for name, text in texts.items()}
    answers |= {"/": answers.pop(f"/{page}"), "/favicon.ico": ("", "image/x-icon")}
    return [Route(path, _fixed(*given), methods=["GET"], include_in_schema=False) for path, given in answers.items()]


def answers_to_errors(description: str) -> Mapping[Any, Callable[..., Any]]:
    """What is answered where something was raised; `description`: the address that says what there is."""

    async def not_there(request: Request, error: Any) -> Response:
        sentence = f"there is nothing here; {description} says what there is"
        if error.status_code == 405:
            sentence = f"{request.method} is not for this address; {description} says what is"
        return JSONResponse({"error": sentence}, error.status_code, error.headers)

    return {Refusal: _refused, HTTPException: not_there, Exception: _fault}


def _styled(name: str, text: str) -> str:
    if not name.endswith(".css"):
        return text
    return f"{rendered('style.css')}{(_PAGE / 'controls.css').read_text('utf-8')}{text}"


def _fixed(text: str, kind: str) -> Any:
    async def answer(request: Request) -> Response:
        return Response(text, media_type=kind)

    return answer


async def _refused(request: Request, refusal: Any) -> Response:
    headers = {} if refusal.again is None else {"Retry-After": str(refusal.again)}
    return JSONResponse({"error": refusal.sentence}, refusal.status, headers)


async def _fault(request: Request, error: Any) -> Response:
    return JSONResponse({"error": FAULT}, 500)
