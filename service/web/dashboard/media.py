"""Files on show: originals, thumbnails and blurs. Of what is held, only the blur, until it is revealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from service.darkroom.asking import NoPicture
from service.errors import NotFound
from service.storage import StorageError
from service.web.dashboard import ranges
from service.web.problems import Problem, Refusal
from service.web.tokens import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from starlette.requests import Request

    from service.darkroom.derived import Original
    from service.web.dashboard.shelf import Item, Shelf

    Make = Callable[[Original], Awaitable[bytes]]

TOKEN = "seen"  # noqa: S105 - the name of a parameter
_INLINE = {
    "image/jpeg", "image/png", "image/webp", "image/gif", "image/avif",
    "video/mp4", "video/webm", "video/quicktime",
}  # fmt: skip
_POLICY = {"Content-Security-Policy": "sandbox; default-src 'none'"}
# Kept by the browser, and asked about each time: what is taken back is not shown from its cache.
_OURS = "private, no-cache"
_PLACEHOLDER = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 32" width="480" height="320">'
    '<rect width="48" height="32" fill="#8a96a3"/><path d="{shape}" fill="#d9dfe5"/></svg>'
)
_SHAPES = {
    "video": "M20 10 L32 16 L20 22 Z",
    "image": "M12 24 L20 13 L26 20 L30 16 L36 24 Z",
    "": "M18 8 H27 L31 12 V24 H18 Z",
}


class Media:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def routes(self) -> Sequence[Route]:
        at = "/media/{source}/{id}/{index}"
        return (
            Route(at, self.original, methods=["GET"]),
            Route(f"{at}/thumb", self.thumb, methods=["GET"]),
            Route(f"{at}/blur", self.blur, methods=["GET"]),
        )

    async def original(self, request: Request) -> Response:
        """With ranges: a browser jumps in a video."""
        item = await self._shelf.asked(request)
        self._check(request, item)
        headers = _headers(item, item.original.sha256) | _disposition(item)
        if answer := _unchanged(request, headers):
            return answer
        size = item.original.bytes
        # With an If-Range of other bytes, the old part would be joined to a new one.
        wanted = request.headers.get("range")
        if request.headers.get("if-range") not in (None, headers["ETag"]):
            wanted = None
        try:
            part = ranges.asked(wanted, size)
        except ranges.UnsatisfiableError:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
        return await self._streamed(request, item, headers, part)

    async def thumb(self, request: Request) -> Response:
        item = await self._shelf.asked(request)
        self._check(request, item)
        return await self._picture(request, item, self._shelf.derived.thumb, "thumb")

    async def blur(self, request: Request) -> Response:
        item = await self._shelf.asked(request)
        return await self._picture(request, item, self._shelf.derived.blur, "blur")

    def _check(self, request: Request, item: Item) -> None:
        """Raises Refusal for what is held, unless this URL was revealed to whoever may decide about it."""
        if not item.original.held:
            return
        given = request.query_params.get(TOKEN, "")
        if request.state.role is not Role.OPERATOR or not self._shelf.is_revealed(item, given):
            detail = f"it is held, and not revealed (any more): see /review/{item.path}"
            raise Refusal(Problem(403, "not_revealed", detail))

    async def _streamed(
        self, request: Request, item: Item, headers: dict[str, str], part: tuple[int, int] | None
    ) -> Response:
        size = item.original.bytes
        start, length = part or (0, size)
        headers |= {"Accept-Ranges": "bytes", "Content-Length": str(length)}
        status = 200
        if part is not None:
            status, headers["Content-Range"] = 206, f"bytes {start}-{start + length - 1}/{size}"
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers, media_type=item.original.media_type)
        chunks = self._shelf.vault.chunks(
            item.original.key, held=item.original.held, start=start, length=length or None
        )
        try:
            first = await anext(chunks, b"")
        except (NotFound, StorageError) as error:
            raise _unreachable(item, error) from error
        return StreamingResponse(
            _rest(first, chunks), status, headers, media_type=item.original.media_type or None
        )

    async def _picture(self, request: Request, item: Item, make: Make, what: str) -> Response:
        headers = _headers(item, f"{item.original.sha256[:32]}-{what}")
        if what == "blur":
            headers["Cache-Control"] = _OURS
        if answer := _unchanged(request, headers):
            return answer
        try:
            data = await make(item.original)
        except NoPicture:
            return _placeholder(item)
        except (NotFound, StorageError) as error:
            raise _unreachable(item, error) from error
        return Response(data, headers=headers, media_type="image/webp")


def _headers(item: Item, etag: str) -> dict[str, str]:
    # What was revealed is for this once.
    kept = "no-store" if item.original.held else _OURS
    return {"ETag": f'"{etag}"', "Cache-Control": kept, **_POLICY}


def _disposition(item: Item) -> dict[str, str]:
    kind = "inline" if item.original.media_type in _INLINE else "attachment"
    extension = item.original.key.rpartition(".")[2]
    return {"Content-Disposition": f'{kind}; filename="{item.ref.id}-{item.index}.{extension}"'}


def _unchanged(request: Request, headers: dict[str, str]) -> Response | None:
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    return Response(status_code=304, headers=headers) if headers["ETag"] in known else None


def _placeholder(item: Item) -> Response:
    """For a page to have something in the place of a picture: that there is none is nobody's error."""
    shape = _SHAPES.get(item.original.media_type.partition("/")[0], _SHAPES[""])
    svg = _PLACEHOLDER.format(shape=shape)
    return Response(svg, media_type="image/svg+xml", headers=_POLICY)


def _unreachable(item: Item, error: Exception) -> Refusal:
    """The place of a held file is told to nobody."""
    place = "the place of held files" if item.original.held else item.output.get("uri")
    detail = (
        f"this process does not reach the file. It should be at {place}: let `serve` have the same "
        "CATCHLIGHT_STORAGE_URL as the workers, and be able to read there"
    )
    return Refusal(Problem(404, "file_unreachable", detail), why=str(error))


async def _rest(first: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in chunks:
        yield chunk
