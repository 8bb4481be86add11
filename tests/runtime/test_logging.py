"""What is logged: lines with fields, one line each, without payloads; and handlers of it that raise (scenario 82)."""

import logging
import re
from pathlib import Path

import attrs
import pytest

from postroom import Context, Event, Retry, Runtime, constant, subscriber
from postroom.log import LINES, Fields, printable

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "logging.md"
FIELDS = [field.name for field in attrs.fields(Fields)]


@subscriber("n", retry=Retry(attempts=2, backoff=constant(1)))
async def failing(event: Event) -> None:
    raise ConnectionError(event.data)


class Broken(logging.Handler):
    """A handler of the user's that has no `handleError`."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
        raise OSError("no space left")


async def test_every_record_says_what_it_is_about_in_fields_and_nothing_of_the_payload(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "postroom")

    @subscriber("start")
    async def starter(event: Event, context: Context) -> None:
        context.log.info("mine")
        await context.emit("n", "hush", headers={"token": "hush"})

    async with Runtime(subscribers=[failing, starter]) as runtime:
        with runtime.recording() as recording:
            start = await runtime.emit("start")
            await runtime.idle()
            event = next(iter(recording.tree(start).caused)).event
    own, *ours = [[getattr(record, name) for name in FIELDS] for record in caplog.records]
    assert own == [start.id, "start", "starter", 1, None]
    assert ours == [[event.id, "n", "failing", attempt, start.id] for attempt in (1, 2)]
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO", "ERROR"]
    assert "hush" not in "".join(f"{record.getMessage()}{vars(record)}" for record in caplog.records)


async def test_73_what_users_chose_cannot_break_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with Runtime(subscribers=[failing]) as runtime:
            await runtime.emit_and_wait("n", id="a\nERROR forged \x1b[31m\u202e")
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert vars(record)["event_id"] == r"a\nERROR forged \x1b[31m\u202e"


@pytest.mark.filterwarnings("default::RuntimeWarning")
async def test_82_a_log_handler_that_raises_is_told_of_once_and_changes_nothing() -> None:
    logger, broken = logging.getLogger("postroom"), Broken()
    level = logger.level
    logger.addHandler(broken)
    logger.setLevel(logging.INFO)
    try:
        with pytest.warns(RuntimeWarning, match="OSError") as warned:
            async with Runtime(subscribers=[failing]) as runtime:
                reports = [await runtime.emit_and_wait("n") for _ in range(3)]
    finally:
        logger.removeHandler(broken)
        logger.setLevel(level)
    assert broken.count == 6
    assert len(warned) == 1
    assert [report.of("failing").attempts for report in reports] == [2, 2, 2]


@pytest.mark.parametrize("is_printed", [True, False])
async def test_82_where_warnings_are_errors_it_is_printed_as_logging_would_and_changes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_printed: bool
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", is_printed)
    logger, broken = logging.getLogger("postroom"), Broken()
    logger.addHandler(broken)
    try:
        async with Runtime(subscribers=[failing]) as runtime:
            assert not (await runtime.emit_and_wait("n")).succeeded
    finally:
        logger.removeHandler(broken)
    assert ("no space left" in capsys.readouterr().err) == is_printed


def test_the_table_of_lines_is_what_the_code_logs() -> None:
    rows = re.findall(r"^\| (\w+) \| `(.+?)` \| (.+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = [(level, text, fields.replace("`", "")) for level, text, fields in rows]
    assert told == [(logging.getLevelName(line.level), line.text, ", ".join(line.fields) or "none") for line in LINES]


@pytest.mark.parametrize("text", ["é€漢", "plain"])
def test_what_prints_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
