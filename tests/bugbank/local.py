"""Bugs of a runtime by itself: in mailboxes, handlers, receipts, retries, supervision, groups and the end."""

from typing import Final

from .planting import Bug

LOCAL: Final = (
    # acknowledging and counting
    Bug(
        name="ack-before-retry",
        mistake="a failed attempt is acknowledged as a failure, and then made again",
        where="postroom.behaviour:SubscriptionBehaviour._attempt_failed",
        old="self.tally.retried += 1\n",
        new="self.tally.retried += 1\n"
        "    delivery.receipt.settle(Failed(self.name, exception, delivery.attempt, delivery.seconds))\n",
    ),
    Bug(
        name="count-before-send",
        mistake="a success is counted before anybody has looked whether it is one",
        where="postroom.behaviour:SubscriptionBehaviour.succeeded",
        old="if result is not None and is_unawaited(result):\n",
        new="if result is not None and is_unawaited(result):\n        self.tally.succeeded += 1\n",
    ),
    Bug(
        name="settle-twice",
        mistake="what a breaker hands back is settled as well",
        where="postroom.behaviour:SubscriptionBehaviour.failed",
        old="self.mailbox.hand_back(delivery)\n        return None",
        new="self.mailbox.hand_back(delivery)",
    ),
    Bug(
        name="wake-the-first-only",
        mistake="of those who wait for a receipt only the first is woken",
        where="postroom.receipt:Receipt.settle",
        old="for waiter in tuple(self.waiters):",
        new="for waiter in tuple(self.waiters[:1]):",
    ),
    # cancellation
    Bug(
        name="forget-in-hand",
        mistake="what is in hand when its actor is cancelled is forgotten",
        where="postroom_actors.actor:Actor.sort_out",
        old="behaviour.cancelled(message, started, ended)",
        new="pass",
    ),
    Bug(
        name="swallow-cancelled",
        mistake="a cancellation of the actor is taken for a failure of the handler, and not raised again",
        where="postroom_actors.guard:judge",
        old="if not isinstance(error, Exception) and cancellation_was_asked_for() and _ends_its_task(error):",
        new="if False:",
    ),
    Bug(
        name="any-cancellation-ends-the-actor",
        mistake="a cancellation that a handler lets out by itself is taken for one of the actor",
        where="postroom_actors.guard:judge",
        old="if not isinstance(error, Exception) and cancellation_was_asked_for() and _ends_its_task(error):",
        new="if not isinstance(error, Exception):",
    ),
    Bug(
        name="probe-leaked",
        mistake="a breaker whose probe is interrupted waits for it for ever",
        where="postroom.pacing:_Probe.held_by",
        old="None if taker is None or taker.message is None else taker",
        new="taker",
    ),
    # who gets it
    Bug(
        name="matched-too-late",
        mistake="who has left still gets events: the table remembers what matched",
        where="postroom.routes:Routes.remove",
        old="self.remembered.clear()",
        new="pass",
    ),
    Bug(
        name="matched-too-early",
        mistake="who has come gets no events: the table remembers what matched",
        where="postroom.routes:Routes.add",
        old="self.remembered.clear()",
        new="pass",
    ),
    Bug(
        name="room-looked-for-once",
        mistake="emit_nowait looks for room in the first mailbox only",
        where="postroom.emitter:Emitter._accept",
        old="for target in targets:\n            mailbox",
        new="for target in targets[:1]:\n            mailbox",
    ),
    Bug(
        name="dedup-forgets",
        mistake="deduplication forgets the ids that are young instead of those that are old",
        where="postroom.deduplication:Deduplication._forget_old",
        old="+ WINDOW > now",
        new="+ WINDOW < now",
    ),
    Bug(
        name="group-half-released",
        mistake="of a group that nobody wants all of, what is wanted is accepted before that is noticed",
        where="postroom.groups:GroupEmitter._accept_group",
        old="        raise NoSubscriber(staged.event.name)",
        new="        stage.receipts.remove(staged)",
    ),
    # mailboxes
    Bug(
        name="last-come-first-served",
        mistake="who came last into the line gets in first",
        where="postroom_actors.mailbox:Mailbox.admit_next",
        old="self.line.popleft()",
        new="self.line.pop()",
    ),
    Bug(
        name="emitter-left-waiting",
        mistake="who waits for room in a mailbox that is emptied for good is not told",
        where="postroom_actors.mailbox:Mailbox.clear",
        old="if admission is not None:",
        new="if False:",
    ),
    Bug(
        name="coalesce-drops-the-new",
        mistake="coalescing settles the event that has just come, and leaves it in the mailbox",
        where="postroom_actors.mailbox:Mailbox._coalesce",
        old="self.owner.dropped(replaced, REPLACED)",
        new="self.owner.dropped(message, REPLACED)",
    ),
    Bug(
        name="resume-wakes-nobody",
        mistake="a gate that opens wakes nobody who sleeps beside mail",
        where="postroom_actors.mailbox:Mailbox.remove_gate",
        old="self.reopened()",
        new="pass",
    ),
    Bug(
        name="expired-keeps-its-key",
        mistake="an event that expires in the mailbox keeps its key for ever",
        where="postroom_actors.mailbox:Mailbox.take",
        old="self.lanes.release(entry.order.key)",
        new="pass",
    ),
    # keys, order and priority
    Bug(
        name="retry-loses-its-place",
        mistake="an event that waits for its next attempt lets the later ones of its key go first",
        where="postroom.behaviour:SubscriptionBehaviour._attempt_failed",
        old="self.mailbox.hold(key)",
        new="self.mailbox.release(key)",
    ),
    Bug(
        name="priority-within-a-key",
        mistake="an urgent event overtakes those of its own key",
        where="postroom_actors.lanes:Lanes.put",
        old="lane.append(entry)",
        new="(lane.appendleft if order.urgent else lane.append)(entry)",
    ),
    Bug(
        name="key-leaked-on-failure",
        mistake="a key is free again only after a success",
        where="postroom.behaviour:SubscriptionBehaviour._settle",
        old="self._finish(delivery, was_taken=outcome.attempts > 0)",
        new="self._finish(delivery, was_taken=isinstance(outcome, Succeeded))",
    ),
    Bug(
        name="due-is-overtaken",
        mistake="what is due, and waits for the dispatcher, is overtaken by what is emitted now",
        where="postroom.dispatcher:Dispatcher.dispatch",
        old="self.catch_up()",
        new="pass",
    ),
    # time
    Bug(
        name="timer-not-dropped",
        mistake="what was cancelled in its backoff comes back when its time has come",
        where="postroom_actors.schedules:Schedule.cancel",
        old="self._set.pop(number).message",
        new="self._set[number].message",
    ),
    Bug(
        name="late-counts-as-success",
        mistake="what a handler returns after its timeout counts",
        where="postroom.calls:timed",
        old="if now() < deadline:",
        new="if True:",
    ),
    Bug(
        name="drain-forgets-backoff",
        mistake="the end of a runtime cancels retries that were due in time",
        where="postroom.behaviour:SubscriptionBehaviour._attempt_failed",
        old="if self.leaving == CLOSED and not self.has_time_until(due):",
        new="if self.leaving == CLOSED:",
    ),
    Bug(
        name="stop-forgets-backoff",
        mistake="a subscription that ends forgets what waits for its next attempt",
        where="postroom.behaviour:SubscriptionBehaviour.cancel_waiting",
        old="self.cancel_retries(due_after=-math.inf)",
        new="pass",
    ),
    # deadlocks
    Bug(
        name="deadlock-never-seen",
        mistake="a circle of waits is never found",
        where="postroom_actors.waits:find_circle",
        old="if graph.root.is_stuck else None",
        new="if False else None",
    ),
    Bug(
        name="deadlock-imagined",
        mistake="an actor at work counts as stuck if another worker of it waits",
        where="postroom_actors.waits:_Graph.open_anew",
        old="if wait is None:\n            return None",
        new="if wait is None:\n            continue",
    ),
    Bug(
        name="reduced-too-far",
        mistake="a wait for several actors is taken to end with the first of them",
        where="postroom_actors.waits:_Graph.reduce",
        old="if follower.missing == 0:",
        new="if follower.missing >= 0:",
    ),
    # batches and supervision
    Bug(
        name="batch-fails-whole",
        mistake="all of a batch fail where the handler has said which ones have",
        where="postroom.batching:_Batches._failures",
        old="return dict(error.failures)",
        new="return dict.fromkeys(ids, error)",
    ),
    Bug(
        name="intensity-counts-one-less",
        mistake="supervision stops an actor one restart too early",
        where="postroom_actors.supervision:Intensity.allows",
        old="if len(self._times) > self.most:",
        new="if len(self._times) >= self.most:",
    ),
    Bug(
        name="restart-loses-its-hand",
        mistake="what an actor has in hand when it is restarted for another one's fault is settled",
        where="postroom.stateful:StatefulBehaviour.cancelled",
        old="self.mailbox.hand_back(delivery)",
        new="SubscriptionBehaviour.cancelled(self, delivery, started, ended)",
    ),
)
