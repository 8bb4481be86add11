"""Webhooks: signed requests of another service that become events, each once.

Answered with 2xx only once the event was accepted: on a durable module it is stored then.

| status | what it means |
|---|---|
| 202 | accepted |
| 200 | accepted before under this delivery id |
| 400 | cut off, no JSON, or without a delivery id |
| 401 | no signature, or a wrong one |
| 408 | the body took too long |
| 409 | this delivery id was accepted before, with something else in it |
| 413 | the body is too large |
| 422 | nothing that can be an event here, or one that an interceptor refuses |
| 503 | busy, or shutting down; it may be sent again |

Units: seconds, bytes.
"""

import hmac
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from typing import Any, Final, TypeAlias

import anyio
import attrs
import msgspec

from ..checks import count_of, seconds
from ..codec import UnreadableRecord, check_depth
from ..errors import (
    Closed,
    ConflictingEvent,
    Full,
    InvalidName,
    InvalidOption,
    InvalidPayload,
    NotPortable,
    PostroomError,
)
from ..event import Event
from ..interceptors import Vetoed
from ..names import tokens_of_name
from ..runtime import Runtime
from ..store_errors import StoreBroken, UnknownResult

LARGEST_BODY: Final = 1024 * 1024

RETRY_AFTER: Final = 1
"""Seconds after which a sender that was told 503 may try again."""

Name: TypeAlias = str | Callable[[Mapping[str, str], Any], str]


class CutOff(Exception):
    """The body of a request has ended before its end."""


class TooLarge(Exception):
    """The framework has given up on the body of a request, since it is larger than it takes."""


@attrs.frozen
class Answer:
    """What a request is answered with, as JSON.

    Attributes:
        headers: Beside the type of the content.
    """

    status: int
    content: Mapping[str, Any]
    headers: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def body(self) -> bytes:
        return msgspec.json.encode(self.content)


def _as_secrets(given: Any) -> tuple[bytes, ...]:
    if isinstance(given, str | bytes):
        given = (given,)
    secrets = tuple(each.encode() if isinstance(each, str) else each for each in given)
    if not secrets or not all(isinstance(each, bytes) and each for each in secrets):
        raise InvalidOption("secret", "***", "must be a secret, or several that are good at the same time, none empty")
    return secrets


def _in_lower_case(name: str) -> str:
    return name.lower()


def _check_name(_webhook: object, _attribute: object, name: Any) -> None:
    if not callable(name):
        tokens_of_name(name)


@attrs.frozen(kw_only=True)
class Webhook:
    """One kind of webhook. As it stands, it takes those of GitHub, and all that are signed alike.

    Attributes:
        name: Of its events, or a function of the request's headers, in lower case, and the data, that tells it.
        secret: What the body is signed with; several while they are being changed. Never shown.
        signature_header: Has `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits.
        id_header: Has the delivery id, which is the event's id: what is sent again is the same event, within the
            window of the event module, 10 minutes unless it says otherwise.
        key: A function of the data that tells the event's key.
        largest: The largest body.
        read_within: How long the body may take.
        busy_after: How long the emit may wait, for room or for the store, before the sender is told that it is busy.

    Raises:
        InvalidOption, InvalidName: when it is made.
    """

    name: Name = attrs.field(validator=_check_name)
    secret: tuple[bytes, ...] = attrs.field(converter=_as_secrets, repr=False)
    signature_header: str = attrs.field(default="x-hub-signature-256", converter=_in_lower_case)
    id_header: str = attrs.field(default="x-github-delivery", converter=_in_lower_case)
    key: Callable[[Any], str | None] | None = None
    largest: int = attrs.field(default=LARGEST_BODY, validator=count_of("bytes"))
    read_within: float = attrs.field(default=30.0, validator=seconds(above=True))
    busy_after: float = attrs.field(default=5.0, validator=seconds(above=True))

    async def receive(self, runtime: Runtime, headers: Mapping[str, str], body: AsyncIterable[bytes]) -> Answer:
        """Take in one request.

        Args:
            headers: With names in lower case.
            body: Raises `CutOff` where the client has gone, and `TooLarge` where somebody else gave up on it.

        Cancellation: as that of an emit; whoever sent it sends it again.
        """
        signature = headers.get(self.signature_header)
        if signature is None:
            return _refused(401, f"there is no header {self.signature_header}")
        read = await self._read_in_time(headers.get("content-length", ""), body)
        if isinstance(read, Answer):
            return read
        if not self._is_signed(read, signature):
            return _refused(401, "the signature is wrong")
        id = headers.get(self.id_header)
        if not id:
            return _refused(400, f"there is no header {self.id_header}")
        try:
            check_depth(read)
            data = msgspec.json.decode(read)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, UnreadableRecord):
            return _refused(400, "the body is no JSON that can be read")
        name = self.name if isinstance(self.name, str) else self.name(headers, data)
        key = None if self.key is None else self.key(data)
        return await self._emit(runtime, Event(name, data, key, id=id, time=time.time()))

    async def _read_in_time(self, length: str, body: AsyncIterable[bytes]) -> bytes | Answer:
        """The whole body, or what is answered where there is none."""
        with anyio.move_on_after(self.read_within):
            try:
                try:
                    read = await self._read(body, int(length) if length.isdecimal() else None)
                finally:
                    if isinstance(body, AsyncGenerator):  # which nobody but its garbage collection would end
                        await body.aclose()
            except CutOff:
                return _refused(400, "the body was cut off")
            except TooLarge:
                read = None
            return _refused(413, f"the body takes more than {self.largest} bytes") if read is None else read
        return _refused(408, f"the body took more than {self.read_within:g} s")

    async def _read(self, body: AsyncIterable[bytes], length: int | None) -> bytes | None:
        """The whole body; None where it is too large, of which no more than that is kept."""
        read = bytearray()
        size = 0
        async for chunk in body:
            size += len(chunk)
            if size <= self.largest:
                read += chunk
            elif size > 4 * self.largest:  # up to there it is read to the end, so that its sender hears the answer
                return None
        if length is not None and size < length:
            raise CutOff
        return None if size > self.largest else bytes(read)

    def _is_signed(self, body: bytes, signature: str) -> bool:
        given = signature.encode(errors="replace")
        matches = [
            hmac.compare_digest(b"sha256=" + hmac.digest(secret, body, "sha256").hex().encode(), given)
            for secret in self.secret  # all of them, so that the time does not tell which one it was
        ]
        return any(matches)

    async def _emit(self, runtime: Runtime, event: Event) -> Answer:
        try:
            with anyio.move_on_after(self.busy_after):
                receipt = await runtime.emit(event)
                is_first = receipt.event.time == event.time
                return Answer(202 if is_first else 200, {"id": event.id, "repeated": not is_first})
        except ConflictingEvent:
            return _refused(409, "this delivery id was accepted before, with something else in it")
        except (Full, Closed, StoreBroken, UnknownResult) as error:
            return busy(type(error).__name__)
        except (InvalidName, InvalidOption, InvalidPayload, NotPortable, Vetoed) as error:
            return _refused(422, _shown(error))
        return busy(f"not accepted within {self.busy_after:g} s")


def _shown(error: PostroomError) -> str:
    """What a sender may know of an error: which, and where; not the text, which may have been written for others."""
    path = getattr(error, "path", "")
    return f"{type(error).__name__} at {path}" if path else type(error).__name__


def _refused(status: int, reason: str) -> Answer:
    return Answer(status, {"error": reason})


def busy(reason: str) -> Answer:
    """It may be sent again."""
    return Answer(503, {"error": reason}, {"retry-after": str(RETRY_AFTER)})
