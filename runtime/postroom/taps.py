"""A dispatcher that is listened to."""

from postroom_actors import Admission

from .dispatcher import Dispatcher, Targets
from .event import Event
from .receipt import Receipt
from .recordings import Recording


class TappedDispatcher(Dispatcher):
    """What a dispatcher becomes while somebody records: the same object with one more thing to do for each event.

    It changes its class, so that who does not record pays nothing, not even the question whether somebody does.
    """

    __slots__ = ()

    def dispatch(
        self,
        event: Event,
        targets: Targets,
        since: float,
        *,
        special: bool = False,
        admission: Admission | None = None,
    ) -> Receipt:
        receipt = super().dispatch(event, targets, since, special=special, admission=admission)
        for recording in self.recordings:
            recording.take(receipt, self.kernel.port.now)
        return receipt


def listen(dispatcher: Dispatcher, recordings: list[Recording]) -> None:
    """Have `dispatcher` tell `recordings`, and be as it was where there are none."""
    dispatcher.recordings = recordings
    dispatcher.__class__ = TappedDispatcher if recordings else Dispatcher
