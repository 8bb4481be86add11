"""Events as CloudEvents 1.0, and back: JSON documents, and the headers and body of HTTP in either mode.

| event | CloudEvents attribute |
|---|---|
| `name` | `type` |
| `id`, `time` | `id`, `time` |
| `key` | the extension `partitionkey` |
| `data` | `data`, or `data_base64` where it is bytes |
| header `cloudevents-source` | `source`, in place of the one that is given |
| headers `cloudevents-subject`, `cloudevents-dataschema` | `subject`, `dataschema` |
| a header whose name may be that of an extension, such as `traceparent` | the extension of that name |
| all other headers | the extension `postroomheaders`, a JSON object as a string |

What an emit asks for beside the event, such as a delay or a number of attempts, is no fact, and is left out.

Units: times in seconds since the epoch here, as RFC 3339 in UTC there.
Source: CNCF, "CloudEvents", version 1.0.2, with its JSON format and its HTTP binding.
"""

import base64
import binascii
import datetime
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, get_args
from urllib.parse import quote, unquote

import attrs
import msgspec

from ..codec import check_depth
from ..errors import InvalidName, InvalidOption, PostroomError, Rejected
from ..event import NO_HEADERS, Event
from ..names import tokens_of_name
from ..options import check_headers
from ..portable import LARGEST, portable_json
from ..quoting import quoted

Mode: TypeAlias = Literal["structured", "binary"]

STRUCTURED: Final = "application/cloudevents+json"
JSON: Final = "application/json"
KEPT: Final = {f"cloudevents-{name}": name for name in ("source", "subject", "dataschema")}
"""Headers of an event here, by the attributes that they are there."""
OTHER_HEADERS: Final = "postroomheaders"
KEY: Final = "partitionkey"

_ATTRIBUTES: Final = frozenset(
    {"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "data", "data_base64"}
)
_is_extension: Final = re.compile(r"[a-z0-9]+").fullmatch
_is_json: Final = re.compile(r"[^/;\s]+/(?:json|[^/;\s]+\+json)\s*(?:;.*)?", re.IGNORECASE).fullmatch
_is_time: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)").fullmatch
_is_uri: Final = re.compile(r"[^\s<>\"{}|\\^`\x00-\x1f\x7f]+").fullmatch


@attrs.define
class InvalidCloudEvent(Rejected):
    """A document or a request is no CloudEvent 1.0, or none that can be an event here.

    Attributes:
        path: Where, from `$`, the whole document; or the name of a header.
    """

    path: str
    reason: str

    def __str__(self) -> str:
        return f"not a CloudEvent that can be read: {self.path}: {self.reason}"


def to_cloudevent(event: Event[Any], *, source: str) -> dict[str, Any]:
    """The structured JSON document of an event, as plain data.

    Args:
        event: With an id: one that was accepted, or was given one.
        source: A URI reference that names the service; unique together with the id.

    Raises:
        InvalidOption: a source that is none, or an event without an id.
        NotPortable: its data is nothing that JSON can carry.
    """
    if not event.id:
        raise InvalidOption("event", event.name, "has no id yet: give it one, or take that of its receipt")
    source = event.headers.get("cloudevents-source", source)
    if not isinstance(source, str) or not _is_uri(source):
        raise InvalidOption("source", source, "must be a URI reference, such as '/shop' or 'https://shop.example'")
    document: dict[str, Any] = {"specversion": "1.0", "id": event.id, "source": source, "type": event.name}
    if event.time is not None:
        document["time"] = _time_text(event.time)
    if event.key is not None:
        document[KEY] = event.key
    others: dict[str, str] = {}
    for name, value in event.headers.items():
        is_own = _is_extension(name) and name not in _ATTRIBUTES and name not in (KEY, OTHER_HEADERS)
        if name in KEPT:
            document[KEPT[name]] = value if name != "cloudevents-source" else source
        else:
            (document if is_own else others)[name] = value
    if others:
        document[OTHER_HEADERS] = msgspec.json.encode(others, order="sorted").decode()
    if isinstance(event.data, bytes | bytearray | memoryview):
        document["datacontenttype"] = "application/octet-stream"
        document["data_base64"] = base64.b64encode(event.data).decode()
    elif event.data is not None:
        document["datacontenttype"] = JSON
        document["data"] = msgspec.json.decode(portable_json(event.data))
    return document


def from_cloudevent(document: "Mapping[str, Any] | bytes | str") -> Event[Any]:
    """The event of a structured document: plain data, or JSON. Emit it with `await runtime.emit(event)`.

    Its id is the document's: within the module's window the same id is the same event, whatever its source.

    Raises:
        InvalidCloudEvent: it breaks a rule of CloudEvents, or one of events here; with the path.
    """
    fields = _read_json(document, "$") if isinstance(document, bytes | str) else document
    if not isinstance(fields, Mapping):
        raise InvalidCloudEvent("$", f"must be an object, not {type(fields).__name__}")
    for name in fields:
        if not isinstance(name, str) or not (_is_extension(name) or name == "data_base64"):
            raise InvalidCloudEvent("$", f"{quoted(name)} can't name an attribute: lower-case letters and digits only")
    texts = {name: _text(f"$.{name}", value) for name, value in fields.items() if name not in ("data", "data_base64")}
    return _event("$.", {name: text for name, text in texts.items() if text is not None}, _data_of(fields))


def to_http(event: Event[Any], *, source: str, mode: Mode = "structured") -> tuple[dict[str, str], bytes]:
    """The headers and the body of an HTTP message that carries an event.

    Raises:
        InvalidOption, NotPortable: as `to_cloudevent`; or a mode that is none.
    """
    if mode not in get_args(Mode):
        raise InvalidOption("mode", mode, f"must be one of {', '.join(get_args(Mode))}")
    document = to_cloudevent(event, source=source)
    if mode == "structured":
        return {"content-type": f"{STRUCTURED}; charset=utf-8"}, msgspec.json.encode(document)
    body = b""
    if "data_base64" in document:
        body = base64.b64decode(document.pop("data_base64"))
    elif "data" in document:
        body = msgspec.json.encode(document.pop("data"))
    kind = document.pop("datacontenttype", None)
    headers = {f"ce-{name}": quote(text, safe=_PRINTED) for name, text in document.items()}
    return headers if kind is None else {"content-type": kind, **headers}, body


def from_http(headers: Mapping[str, str], body: bytes) -> Event[Any]:
    """The event of an HTTP message, in the mode that its headers tell.

    Raises:
        InvalidCloudEvent: it is none, or in a batch; with the header's name or the path in the document.
    """
    given = {name.lower(): value for name, value in headers.items()}
    kind = given.get("content-type", "")
    if kind.lower().startswith("application/cloudevents"):
        if not _is_structured(kind):
            raise InvalidCloudEvent("content-type", f"{quoted(kind)}: {STRUCTURED} is the only format that is read")
        return from_cloudevent(body)
    if "ce-specversion" not in given:
        raise InvalidCloudEvent("content-type", f"is neither {STRUCTURED}, nor is there a header ce-specversion")
    texts: dict[str, str] = {}
    for name, value in given.items():
        if name.startswith("ce-"):
            attribute = name.removeprefix("ce-")
            if not _is_extension(attribute) or attribute in ("data", "datacontenttype"):
                raise InvalidCloudEvent(name, "can't name an attribute")
            texts[attribute] = _unquoted(name, value)
    data: Any = body
    if not body:
        data = None
    elif not kind or _is_json(kind):
        data = _read_json(body, "body")
    return _event("ce-", texts, data)


_PRINTED: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""What stands for itself in a header of the binary mode."""


def _is_structured(kind: str) -> bool:
    media, _, parameters = kind.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    return media.strip().lower() == STRUCTURED and charset in ("", "charset=utf-8")


def _event(prefix: str, texts: dict[str, str], data: Any) -> Event[Any]:
    """An event of checked attributes; `prefix` leads to them."""
    if texts.get("specversion") != "1.0":
        raise InvalidCloudEvent(f"{prefix}specversion", f"must be '1.0', not {quoted(texts.get('specversion'))}")
    for name in ("id", "source", "type"):
        if not texts.get(name):
            raise InvalidCloudEvent(f"{prefix}{name}", "must be there, and not be empty")
    if not _is_uri(texts["source"]):
        raise InvalidCloudEvent(f"{prefix}source", "must be a URI reference")
    try:
        tokens_of_name(texts["type"])
    except InvalidName as error:
        raise InvalidCloudEvent(f"{prefix}type", str(error)) from None
    time = _seconds(f"{prefix}time", texts["time"]) if "time" in texts else None
    headers = {name: text for name, text in texts.items() if name not in (*_ATTRIBUTES, KEY, OTHER_HEADERS)}
    headers.update({header: texts[name] for header, name in KEPT.items() if name in texts})
    if OTHER_HEADERS in texts:
        headers.update(_other_headers(f"{prefix}{OTHER_HEADERS}", texts[OTHER_HEADERS]))
    try:
        checked = check_headers(headers)
    except PostroomError as error:
        raise InvalidCloudEvent(prefix.rstrip(".-"), str(error)) from None
    return Event(
        texts["type"], data, texts.get(KEY), checked or NO_HEADERS, texts["id"], time
    )  # key and id are checked by the emit, as everybody's


def _data_of(fields: Mapping[str, Any]) -> Any:
    if "data_base64" not in fields:
        return fields.get("data")
    if "data" in fields:
        raise InvalidCloudEvent("$.data_base64", "stands beside `data`; there may be only one of them")
    try:
        return base64.b64decode(fields["data_base64"], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise InvalidCloudEvent("$.data_base64", "must be a string in base64") from None


def _text(path: str, value: object) -> str | None:
    """An attribute as text; None, which JSON's null is, stands for one that is not there."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        if not -(2**31) <= value < 2**31:
            raise InvalidCloudEvent(path, "is no integer of 32 bits")
        return str(value)
    raise InvalidCloudEvent(path, f"must be a string, an integer or a boolean, not {type(value).__name__}")


def _other_headers(path: str, text: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise InvalidCloudEvent(path, "must be a JSON object of strings, in a string") from None


def _read_json(text: bytes | str, path: str) -> Any:
    try:
        encoded = text.encode() if isinstance(text, str) else text
        if len(encoded) > 2 * LARGEST:
            raise InvalidCloudEvent(path, f"takes {len(encoded)} bytes, and {2 * LARGEST} is the most")
        check_depth(encoded)
        return msgspec.json.decode(encoded)
    except InvalidCloudEvent:
        raise
    except (msgspec.MsgspecError, UnicodeError, RecursionError, PostroomError) as error:
        raise InvalidCloudEvent(path, f"is no JSON that can be read ({error})") from None


def _unquoted(name: str, value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise InvalidCloudEvent(name, "is not percent-encoded UTF-8") from None


def _time_text(seconds: float) -> str:
    try:
        moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidOption("time", seconds, "is no time that CloudEvents can carry, of the years 1 to 9999") from None
    return moment.isoformat().replace("+00:00", "Z")


def _seconds(path: str, text: str) -> float:
    try:
        if _is_time(text):
            return datetime.datetime.fromisoformat(text.upper()).timestamp()
    except (ValueError, OverflowError):
        pass
    raise InvalidCloudEvent(path, f"{quoted(text)} is no time as in RFC 3339, such as 2018-04-05T17:31:00Z")
