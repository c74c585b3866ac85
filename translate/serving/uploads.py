"""The body of a request: read up to a limit, within a limit of time, and taken apart into a picture and fields."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from translate.serving.refusal import Gone, Refusal
from translate.serving.wishes import FIELDS

IMAGE = "image"
"""The field with the picture."""
_FORM = 64 << 10
"""Bytes that a form may have beside the picture."""
_LONGEST = 1 << 10
"""Bytes of the longest value of a field."""


class Body:
    """A request's body as it arrives. `ended`: whether all of it has been read."""

    def __init__(self, request: Request, max_bytes: int) -> None:
        self._request, self._most = request, max_bytes
        self.ended = False

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body in pieces. Raises Refusal (413) beyond the limit, and Gone."""
        taken = 0
        self._refuse(int(length) if (length := self._request.headers.get("content-length", "0")).isdecimal() else 0)
        while not self.ended:
            piece = await self._next()
            taken += len(piece)
            self._refuse(taken)
            yield piece

    def _refuse(self, length: int) -> None:
        if length > self._most + _FORM:
            raise Refusal(413, f"the file is larger than {self._most:,} bytes, the most that is taken here")

    async def gone(self) -> None:
        """Waits, when all has been read, until the client closes the connection."""
        with suppress(Gone):
            while True:
                await self._next()

    async def _next(self) -> bytes:
        message = await self._request.receive()
        if message["type"] == "http.disconnect":
            raise Gone
        self.ended = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece


async def form_of(request: Request, body: Body) -> FormData:
    """The form in a request, to be closed by the caller; a large picture lies in a nameless temporary file. Raises
    Refusal (400, 413, 415) and Gone."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise Refusal(415, f"send the picture as multipart/form-data, in the field '{IMAGE}'")
    parser = MultiPartParser(
        request.headers, body.stream(), max_files=1, max_fields=4 * len(FIELDS) + 100, max_part_size=_LONGEST
    )
    try:
        return await parser.parse()
    except MultiPartException as error:
        if "files" in error.message:
            raise Refusal(400, "one picture at a time, please: send the others in requests of their own") from error
        raise Refusal(400, "the form is damaged, or a name or a value in it is too long") from error


def fields_of(form: FormData) -> list[tuple[str, str]]:
    """The fields of a form beside the picture, as they stand there."""
    return [(name, text) for name, text in form.multi_items() if isinstance(text, str)]


def picture_of(form: FormData) -> UploadFile:
    """The picture in a form. Raises Refusal (400)."""
    files = [(name, file) for name, file in form.multi_items() if isinstance(file, UploadFile)]
    if [name for name, _ in files] != [IMAGE]:
        raise Refusal(400, f"no picture was sent: send it as a file, in the field '{IMAGE}'")
    [(_, picture)] = files
    if not picture.size:
        raise Refusal(400, "the file is empty")
    return picture
