"""What stores keep of outcomes: written and read, also by the release before; the rest is refused by name."""

import msgspec
import pytest

from postroom import Cancelled, Dropped, Expired, Failed, RemoteFailure, Succeeded, UnreadableRecord
from postroom.codec import decode_outcome, encode_outcome
from postroom.outcomes import Outcome


@pytest.mark.parametrize(
    "outcome",
    [
        Succeeded("clerk", {"a": [1]}, 2, 0.5),
        Dropped("clerk", "the mailbox was full", 0, 0.0),
        Expired("clerk", "its time has passed", 1, 0.0),
        Cancelled("clerk", "the runtime closed", 1, 0.5),
    ],
)
def test_an_outcome_comes_back_as_it_was(outcome: Outcome) -> None:
    assert decode_outcome(encode_outcome(outcome)) == outcome


def test_a_failure_comes_back_as_texts() -> None:
    read = decode_outcome(encode_outcome(Failed("clerk", ValueError("bad"), 3, 0.5)))
    assert isinstance(read, Failed)
    assert isinstance(read.exception, RemoteFailure)
    assert (read.exception.type, read.exception.message) == ("ValueError", "bad")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"v": 99}, "it has version 99, and this release reads"),
        ({"kind": "eaten"}, "it is of an unknown kind, 'eaten'"),
    ],
)
def test_a_record_of_another_release_is_refused_by_name(changes: dict[str, object], message: str) -> None:
    record = msgspec.json.decode(encode_outcome(Dropped("clerk", "full", 0, 0.0)))
    with pytest.raises(UnreadableRecord, match=message):
        decode_outcome(msgspec.json.encode(record | changes))
