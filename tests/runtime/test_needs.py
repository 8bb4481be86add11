"""Who has to move before there is room: nobody, where there is."""

from typing import Any

from postroom.needs import needs_of_room
from postroom_actors import Actor, Mailbox, Owner


async def test_where_there_is_room_nobody_has_to_move() -> None:
    behaviour: Any = None
    actor: Actor[Any] = Actor("clerk", Mailbox(Owner(), 3), behaviour)
    assert needs_of_room(actor, [None, None]) == []
    assert needs_of_room(actor, [None] * 4) == [actor]
