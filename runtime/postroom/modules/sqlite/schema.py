"""The tables, and how an older file gets them.

A delivery is one narrow row: in `waiting` until it is lent, then in `lent` until it is over. The body is stored once,
in `events`. Of plain events nothing more is kept; those with several deliveries, or with an id that the user chose,
have a row in `records`.

`waiting` is sorted for lending. Its `state` says what `sort` is:

    0 in line   may be lent; of a key only the first; `sort` is when it was due, and its head start
    1 behind    another one of its key comes first; `sort` means nothing
    2 delayed   `sort` is when it may be lent

Workflows have a row in `runs`, which writing to the journal does not touch: what is written goes to `run_entries`, and
says when. `due` is there while the run waits, `owner` while it is lent, `forget_at` once it is over. `token` is that of
the last loan, so that one who concludes again finds the `answer`; `begun_by` and `call` name the call that began it.
`run_series` counts how many have begun of what is to end after so many.

A subscription with a rate has a row in `rates`, which says when its next delivery is due on average.

Numbers of events, loans, runs and notices come from one counter, so that they sort by age. A dead letter has the token
of the loan that it was in.
"""

from typing import Final

import apsw

from postroom.store_errors import StoreBroken

APPLICATION: Final = 0x706F7374
"""`post`: says in a file's header whose it is."""

VERSION: Final = 3

IN_LINE: Final = 0
BEHIND: Final = 1
DELAYED: Final = 2

TABLES: Final = """
CREATE TABLE state(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL,
    registry INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    boot TEXT,
    ahead REAL NOT NULL,
    latest REAL NOT NULL
) STRICT;
INSERT INTO state VALUES (1, 1, 1, 0, NULL, 0, 0);

CREATE TABLE subscriptions(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    patterns TEXT NOT NULL,
    backlog INTEGER,
    overflow TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE sessions(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    incarnation INTEGER NOT NULL,
    lease_until REAL NOT NULL,
    over_at REAL,
    marker INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE serves(
    session INTEGER NOT NULL,
    subscription INTEGER NOT NULL,
    PRIMARY KEY (session, subscription)
) STRICT, WITHOUT ROWID;

CREATE TABLE events(
    number INTEGER PRIMARY KEY,
    plain INTEGER NOT NULL,
    watcher INTEGER NOT NULL,
    accepted_at REAL NOT NULL,
    id TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE records(
    event INTEGER PRIMARY KEY,
    pending INTEGER NOT NULL,
    at REAL NOT NULL,
    forget_at REAL,
    targets TEXT NOT NULL,
    id TEXT NOT NULL,
    digest BLOB
) STRICT;
CREATE UNIQUE INDEX record_ids ON records(id) WHERE digest IS NOT NULL;
CREATE INDEX records_to_forget ON records(forget_at) WHERE forget_at IS NOT NULL;

CREATE TABLE watchers(
    event INTEGER NOT NULL,
    session INTEGER NOT NULL,
    PRIMARY KEY (event, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE outcomes(
    event INTEGER NOT NULL,
    subscription TEXT NOT NULL,
    outcome BLOB NOT NULL,
    PRIMARY KEY (event, subscription)
) STRICT, WITHOUT ROWID;

CREATE TABLE waiting(
    subscription INTEGER NOT NULL,
    state INTEGER NOT NULL,
    sort REAL NOT NULL,
    due REAL NOT NULL,
    event INTEGER NOT NULL,
    head_start REAL NOT NULL,
    key TEXT,
    attempts INTEGER NOT NULL,
    losses INTEGER NOT NULL,
    droppable INTEGER,
    PRIMARY KEY (subscription, state, sort, due, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX waiting_keys ON waiting(subscription, key, state, due, event) WHERE key IS NOT NULL;
CREATE INDEX waiting_by_age ON waiting(subscription, event) WHERE droppable = 1;
CREATE INDEX waiting_by_key_and_age ON waiting(subscription, key, event) WHERE droppable = 2;

CREATE TABLE lent(
    token INTEGER PRIMARY KEY,
    subscription INTEGER NOT NULL,
    due REAL NOT NULL,
    event INTEGER NOT NULL,
    head_start REAL NOT NULL,
    key TEXT,
    attempts INTEGER NOT NULL,
    losses INTEGER NOT NULL,
    not_before REAL NOT NULL
) STRICT;
CREATE INDEX lent_keys ON lent(subscription, key) WHERE key IS NOT NULL;

CREATE TABLE notices(
    session INTEGER NOT NULL,
    number INTEGER NOT NULL,
    event TEXT NOT NULL,
    subscription TEXT NOT NULL,
    outcome BLOB NOT NULL,
    published BLOB,
    cleared TEXT NOT NULL,
    PRIMARY KEY (session, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE letters(
    token INTEGER PRIMARY KEY,
    subscription TEXT NOT NULL,
    event TEXT NOT NULL,
    accepted_at REAL NOT NULL,
    time REAL NOT NULL,
    letter BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX letters_by_subscription ON letters(subscription, token);

CREATE TABLE groups(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    expires_at REAL
) STRICT;
CREATE INDEX groups_to_expire ON groups(expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE staged(
    number INTEGER PRIMARY KEY,
    in_group INTEGER NOT NULL,
    session INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    digest BLOB,
    event BLOB NOT NULL
) STRICT;
CREATE INDEX staged_by_group ON staged(in_group, number);
CREATE INDEX staged_by_id ON staged(id);
"""

RUNS: Final = """
CREATE TABLE runs(
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    state TEXT NOT NULL,
    awake TEXT NOT NULL,
    due REAL,
    owner INTEGER,
    token INTEGER,
    losses INTEGER NOT NULL DEFAULT 0,
    begun_by INTEGER NOT NULL,
    call INTEGER NOT NULL,
    created_at REAL NOT NULL,
    changed_at REAL NOT NULL,
    starts_at REAL NOT NULL,
    forget_at REAL,
    lane TEXT NOT NULL,
    digest BLOB NOT NULL,
    input BLOB NOT NULL,
    result BLOB NOT NULL DEFAULT x'',
    answer BLOB
) STRICT;
CREATE INDEX runs_that_wait ON runs(workflow, due, number) WHERE due IS NOT NULL;
CREATE INDEX runs_by_owner ON runs(owner) WHERE owner IS NOT NULL;
CREATE INDEX runs_by_token ON runs(token) WHERE token IS NOT NULL;
CREATE INDEX runs_by_state ON runs(state, workflow, id);
CREATE UNIQUE INDEX runs_by_lane ON runs(lane) WHERE lane <> '' AND forget_at IS NULL;
CREATE INDEX runs_to_forget ON runs(forget_at) WHERE forget_at IS NOT NULL;

CREATE TABLE run_entries(
    run INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    number INTEGER NOT NULL,
    at REAL NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (run, kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_watchers(
    run INTEGER NOT NULL,
    session INTEGER NOT NULL,
    PRIMARY KEY (run, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_notices(
    session INTEGER NOT NULL,
    number INTEGER NOT NULL,
    run TEXT NOT NULL,
    PRIMARY KEY (session, number)
) STRICT, WITHOUT ROWID;
"""

COUNTS: Final = """
CREATE TABLE rates(
    subscription INTEGER PRIMARY KEY,
    interval REAL NOT NULL,
    burst INTEGER NOT NULL,
    due REAL NOT NULL
) STRICT;

CREATE TABLE run_series(
    name TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: Final[tuple[str, ...]] = (TABLES, RUNS, COUNTS)
"""What leads from each version to the next, from the empty file on. A step only adds: processes of the release before
may be at work on the file meanwhile."""


def migrate(db: apsw.Connection, path: str) -> None:
    """Bring a file to this version, in one transaction; whoever comes second finds it done.

    Raises:
        StoreBroken: it is another program's, or a newer release's.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        version = version_of(db, path)
        if version < VERSION:
            for step in MIGRATIONS[version:]:
                db.execute(step)
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def version_of(db: apsw.Connection, path: str) -> int:
    """The version of a file's tables, 0 where it is empty.

    Raises:
        StoreBroken: it is another program's, or a newer release's.
    """
    application, version = db.pragma("application_id"), db.pragma("user_version")
    if application != APPLICATION:
        if application or version or db.execute("SELECT count(*) FROM sqlite_schema").get:
            raise StoreBroken(
                "sqlite", f"{path} is the database of another program", "Choose another file; this one is as it was."
            )
        return 0
    if version > VERSION:
        raise StoreBroken(
            "sqlite",
            f"{path} has version {version} of the tables, and this release knows {VERSION}",
            "A newer release of postroom has written it: use that one, or another file.",
        )
    return int(version)
