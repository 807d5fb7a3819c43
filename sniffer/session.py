"""The signalling of one Call-ID: which event, if any, a message is.

The rules it keeps, and the table it moves, are explained in `dialogs.py`. As much as possible is there; this
holds what has to be remembered to tell a new transaction from a retransmission, and one dialog from another.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from bystander.sniffer.dialogs import FINISHED, OUTCOMES, TRANSITIONS, Event, Party, State, final_event, other
from bystander.sniffer.sip import Message

#: Transactions remembered in one session: a proxy that forks to more phones than this loses the oldest.
MAX_TRANSACTIONS: Final = 64


class Transaction:
    """An INVITE transaction on one hop: opened by the INVITE (or its response), closed by a final one."""

    __slots__ = ("cseq", "in_dialog", "open", "status", "vias")

    def __init__(self, cseq: int, vias: int, in_dialog: bool) -> None:
        self.cseq = cseq
        self.vias = vias
        self.in_dialog = in_dialog
        self.open = True
        self.status = 0


class Session:
    """One Call-ID: made by the first message that `opens_session`, fed every later one, in order of arrival.

    It finishes (`finished`) with a BYE, a final failure or a time-out; it takes messages after that too, and
    a few of them (rule 3) bring it back to life.
    """

    __slots__ = (
        "_bye",
        "_caller_tags",
        "_confirmed",
        "_early",
        "_refused",
        "_transactions",
        "answered_ns",
        "decided_ns",
        "ended_by",
        "final_status",
        "hearsay",
        "midcall",
        "rang",
        "state",
    )

    def __init__(self, first: Message) -> None:
        self.state = State.CALLING
        self.answered_ns: int | None = None
        self.decided_ns: int | None = None
        """When the state became a finished one."""
        self.ended_by: str | None = None
        self.final_status = 0
        self.rang = False
        self.midcall = begins_midcall(first)
        """The INVITE that began the call was not seen."""
        self.hearsay = first.method == "BYE"
        """There is nothing but a BYE: it takes an answer to it, or media, to prove that there was a call."""
        self._bye: tuple[str, int] | None = None
        self._caller_tags = {first.from_tag}
        self._confirmed: dict[str, set[tuple[str, int]]] = {}
        self._early: set[str] = set()
        self._refused: set[str] = set()
        self._transactions: dict[tuple[str, int], Transaction] = {}

    @property
    def finished(self) -> bool:
        """Whether nothing more is expected."""
        return self.state in FINISHED

    @property
    def outcome(self) -> str:
        """What the call amounts to so far: answered, cancelled, busy, failed, unanswered or incomplete."""
        return OUTCOMES[self.state]

    # -- who --------------------------------------------------------------------------------------------

    def sender(self, message: Message) -> Party:
        """Return which party a message comes from, on whichever hop it was seen."""
        asks: Party = "caller" if message.from_tag in self._caller_tags else "callee"
        return asks if message.method is not None else other(asks)

    def dialog(self, message: Message) -> str:
        """Return the callee's tag: the half of the dialog identifier that tells forks apart."""
        return message.to_tag if message.from_tag in self._caller_tags else message.from_tag

    @property
    def branches(self) -> frozenset[str]:
        """The branches of the INVITE transactions that are remembered."""
        return frozenset(branch for branch, _ in self._transactions)

    @property
    def losers(self) -> frozenset[str]:
        """Dialogs that rang and were not the one that was answered."""
        return frozenset(self._early.difference(self._confirmed)) if self._confirmed else frozenset()

    # -- what -------------------------------------------------------------------------------------------

    def happen(self, event: Event, time_ns: int, by: str | None = None) -> bool:
        """Move the table; return whether the state changed."""
        following = TRANSITIONS[self.state].get(event)
        if following is None:
            return False
        changed = following is not self.state
        before, self.state = self.state, following
        if event in (Event.SUCCESS, Event.IN_DIALOG) and self.answered_ns is None and not self.midcall:
            self.answered_ns = time_ns
        if following in FINISHED:
            if before not in FINISHED:
                self.decided_ns = time_ns
            if by is not None:
                self.ended_by = by
        else:
            self.decided_ns = None
            self.ended_by = by if following is State.CANCELLING else None
        return changed

    def observe(self, message: Message, time_ns: int) -> Transaction | None:
        """Take a message; return the INVITE transaction it belongs to, if it is part of one."""
        method = message.method
        if method is None:
            if message.cseq_method == "INVITE":
                return self._response(message, time_ns)
            if message.cseq_method == "BYE" and 200 <= message.status < 300:
                # The BYE may have been missed. (Its sender is the one this is sent to.)
                self.hearsay = False
                self._hung_up(message, time_ns, other(self.sender(message)), accepted=True)
            elif message.cseq_method == "BYE" and message.status in (401, 407):
                if self._bye == (message.from_tag, message.cseq):
                    self.happen(Event.BYE_CHALLENGED, time_ns)
            elif message.cseq_method == "UPDATE" and self.midcall:
                self.happen(Event.IN_DIALOG, time_ns)
        elif method == "INVITE":
            return self._invite(message, time_ns)
        elif method == "ACK":
            self._ack(message, time_ns)
        elif method == "BYE":
            self._hung_up(message, time_ns, self.sender(message))
        elif method == "CANCEL":
            self._cancel(message, time_ns)
        elif method == "UPDATE" and self.midcall:
            self.happen(Event.IN_DIALOG, time_ns)
        return None

    def _invite(self, message: Message, time_ns: int) -> Transaction:
        key = (message.branch, message.cseq)
        known = self._transactions.get(key)
        if known is not None:
            return known
        # Some phones answer a challenge with the To tag of the 401: that does not make a dialog.
        in_dialog = bool(message.to_tag) and message.to_tag not in self._refused
        transaction = self._open(key, Transaction(message.cseq, message.vias, in_dialog))
        if in_dialog:
            self._prove(message, time_ns)
        else:
            self._caller_tags.add(message.from_tag)
            for earlier in self._transactions.values():
                if earlier.cseq < message.cseq and not earlier.in_dialog:
                    earlier.open = False  # superseded: its final response was missed
            self.happen(Event.INVITE, time_ns)
        return transaction

    def _open(self, key: tuple[str, int], transaction: Transaction) -> Transaction:
        if len(self._transactions) >= MAX_TRANSACTIONS:
            closed = (k for k, t in self._transactions.items() if not t.open)
            del self._transactions[next(closed, next(iter(self._transactions)))]
        self._transactions[key] = transaction
        return transaction

    def _prove(self, message: Message, time_ns: int) -> None:
        """A dialog is spoken in: it exists."""
        self.hearsay = False
        if self.happen(Event.IN_DIALOG, time_ns):
            self._confirmed.setdefault(self.dialog(message), set())

    def _response(self, message: Message, time_ns: int) -> Transaction:
        key = (message.branch, message.cseq)
        transaction = self._transactions.get(key)
        status, dialog = message.status, self.dialog(message)
        if transaction is None:
            # The INVITE was missed. If the dialog is known it was a re-INVITE.
            in_dialog = self.state in (State.ANSWERED, State.ENDED) and (
                dialog in self._confirmed or message.from_tag not in self._caller_tags
            )
            transaction = self._open(key, Transaction(message.cseq, message.vias, in_dialog))
            if not in_dialog and status < 200:
                self.happen(Event.INVITE, time_ns)
        if transaction.in_dialog:
            if status >= 200 and transaction.open:
                transaction.open, transaction.status = False, status
            return transaction
        if status < 200:
            if transaction.open and dialog:
                if len(self._early) < MAX_TRANSACTIONS:
                    self._early.add(dialog)
                if status == 180:
                    self.rang = True
                    self.happen(Event.RINGING, time_ns)
        elif status < 300:
            self.hearsay = False
            if len(self._confirmed) < MAX_TRANSACTIONS:
                self._confirmed.setdefault(dialog, set()).add(key)
            if transaction.open or not 200 <= transaction.status < 300:
                transaction.open, transaction.status = False, status
                if self.happen(Event.SUCCESS, time_ns) or not 200 <= self.final_status < 300:
                    self.final_status = status
        elif transaction.open:
            transaction.open, transaction.status = False, status
            if dialog and len(self._refused) < MAX_TRANSACTIONS:
                self._refused.add(dialog)
            self._failure(transaction, time_ns)
        return transaction

    def _failure(self, failed: Transaction, time_ns: int) -> None:
        open_ones = [t for t in self._transactions.values() if t.open and not t.in_dialog]
        if any(t.vias <= failed.vias or t.cseq > failed.cseq for t in open_ones):
            return
        for downstream in open_ones:
            downstream.open = False
        if not 200 <= self.final_status < 300:
            self.final_status = failed.status
        event = final_event(failed.status, self.rang)
        self.happen(event, time_ns, "caller" if event is Event.TERMINATED else None)

    def _ack(self, message: Message, time_ns: int) -> None:
        # The ACK of a failure has the branch of its INVITE; the ACK of a 2xx has one of its own.
        newest = max((t.cseq for t in self._transactions.values() if not t.in_dialog), default=message.cseq)
        if (
            message.to_tag
            and message.branch
            and message.cseq == newest
            and message.to_tag not in self._refused
            and (message.branch, message.cseq) not in self._transactions
        ):
            self._prove(message, time_ns)

    def _cancel(self, message: Message, time_ns: int) -> None:
        cancelled = self._transactions.get((message.branch, message.cseq))
        if cancelled is None or cancelled.in_dialog or not cancelled.open:
            return
        # A proxy cancels the branches that lost, and those it gave up; the call is cancelled upstream of it.
        if any(t.open and not t.in_dialog and t.vias < cancelled.vias for t in self._transactions.values()):
            return
        self.happen(Event.CANCEL, time_ns, "caller")

    def _hung_up(self, message: Message, time_ns: int, by: Party, accepted: bool = False) -> None:
        """A BYE, or (``accepted``) a 2xx to one."""
        if not message.to_tag:
            return
        dialog = self.dialog(message)
        if self.state is State.ANSWERED:
            answers = self._confirmed.get(dialog)
            if answers is None and self._confirmed and (dialog in self._early or not accepted):
                # A fork that lost is dismissed. Or the BYE is of no dialog that was seen, and anybody could
                # have sent it: it counts if the other side agrees.
                return
            # Two phones that answered one INVITE at once share its transaction; one is dismissed, the other
            # has the call. (Two tags on two hops are not forks but a proxy that takes liberties.)
            if answers and any(answers & rest for tag, rest in self._confirmed.items() if tag != dialog):
                del self._confirmed[dialog]
                return
        if self.midcall and self.state is State.CALLING:
            self.happen(Event.IN_DIALOG, time_ns)
        if self.happen(Event.BYE, time_ns, by):
            self._bye = (message.from_tag, message.cseq)


def opens_session(message: Message) -> bool:
    """Return whether a message with an unknown Call-ID is reason enough to make a session of it.

    Requests that set up, change or end a call in an existing dialog count (start in mid-call); a lone ACK,
    100, OPTIONS or REGISTER does not.
    """
    if not message.call_id:
        return False
    method = message.method
    if method is None:
        if message.cseq_method == "INVITE":
            return message.status > 100
        return message.cseq_method == "UPDATE" and 200 <= message.status < 300 and message.sdp is not None
    if method == "INVITE":
        return True
    if method == "BYE":
        return bool(message.to_tag)
    return method in ("ACK", "UPDATE") and bool(message.to_tag) and message.sdp is not None


def begins_midcall(message: Message) -> bool:
    """Return whether the message that opened a session belongs to a dialog that was already there."""
    if message.method is None:
        return 200 <= message.status < 300
    return bool(message.to_tag)


def begins_anew(message: Message, newest_cseq: int, branches: Set[str]) -> bool:
    """Return whether a message uses the Call-ID of a call that is over for another one.

    An agent that tries one telephone after the other may count its INVITEs on, or keep the number and change
    the branch (RFC 3261 section 17.1.3); ``branches`` are those that were seen.
    """
    if message.method != "INVITE" or message.to_tag:
        return False
    return message.cseq > newest_cseq or (bool(message.branch) and message.branch not in branches)
