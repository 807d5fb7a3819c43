"""Whether the audio of a call is protected, as its session descriptions have it, and with which keys.

A description may demand SRTP by its profile (RTP/SAVP), or only offer it beside plain RTP (RTP/AVP with keys,
or two media of which the other side takes one). What both sides of a hop say decides; until the answer is
seen an offer may be meant either way. Hops of a proxied call are apart: one may be SRTP and the other plain,
and each has keys of its own (C7). So are forks: one telephone may take the offered keys and another not.

A description in a dialog that takes protection away counts from its answer on, like a hold.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Final

from bystander.sniffer.crypto import SrtpKey, parse_crypto, usable_keys
from bystander.sniffer.dialogs import Party
from bystander.sniffer.sdp import Media

#: Keys remembered of each party; the oldest go first.
MAX_KEYS: Final = 64
#: Descriptions remembered, by party, hop and fork; the oldest go first.
MAX_SAID: Final = 64

PLAIN, PERHAPS, PROTECTED = "plain", "perhaps", "protected"
#: Ways of agreeing on keys, the one that is told first where several are offered.
KINDS: Final = ("sdes", "dtls", "mikey", "zrtp")
UNKNOWN: Final = "unknown"


@dataclass(slots=True, frozen=True)
class Guard:
    """What to expect of a stream: ``state`` plain, perhaps or protected, and by which ``kind`` of keys."""

    state: str = PLAIN
    kind: str = ""

    @property
    def openable(self) -> bool:
        """Whether its packets are worth keeping whole: they are plain after all, or can be opened."""
        return self.state == PERHAPS or self.kind == "sdes"


NOTHING: Final = Guard()
_NO_KEYS: Final[frozenset[str]] = frozenset()


@dataclass(slots=True, frozen=True)
class Protection:
    """What one description says: ``certain`` that it demands SRTP, and the ways that it offers."""

    certain: bool
    kinds: frozenset[str]

    @property
    def offered(self) -> bool:
        """Whether SRTP is offered at all."""
        return self.certain or bool(self.kinds)


UNPROTECTED: Final = Protection(False, _NO_KEYS)


def protection_of(audio: Iterable[Media]) -> Protection:
    """Return what the audio media of one description say together."""
    media = list(audio)
    if not any(one.encrypted for one in media):
        return UNPROTECTED
    kinds = set()
    for one in media:
        said = {"sdes": one.crypto, "dtls": one.fingerprint, "mikey": one.mikey, "zrtp": one.zrtp}
        kinds |= {kind for kind, there in said.items() if there}
    return Protection(bool(media) and all("SAVP" in one.protocol for one in media), frozenset(kinds))


class Protections:
    """What the descriptions of one call have said so far; fed by its negotiation."""

    def __init__(self) -> None:
        self._said: dict[tuple[Party, Hashable, str], Protection] = {}
        self._guards: dict[Hashable, Guard] = {}
        self._pending: dict[tuple[Party, Hashable, str], Protection] = {}
        #: By party: the keys with which it protects what it sends, in the order in which they were named.
        self.keys: dict[Party, list[SrtpKey]] = {"caller": [], "callee": []}

    def note(
        self, party: Party, hop: Hashable, fork: str, audio: list[Media], time_ns: int, *, in_dialog: bool
    ) -> None:
        """Take a description whose live audio media are ``audio``."""
        if not audio:
            return
        for media in audio:
            for value in media.crypto:
                self._remember(party, value, time_ns)
        where = (party, hop, fork if party == "callee" else "")
        said = protection_of(audio)
        before = self._said.get(where)
        if in_dialog and before is not None and before.offered and not said.offered:
            self._pending[where] = said
            return
        self._pending.pop(where, None)
        if said == before:
            return
        self._guards.clear()
        self._said.pop(where, None)
        if len(self._said) >= MAX_SAID:
            del self._said[next(iter(self._said))]
        self._said[where] = said

    def settle(self, *, accepted: bool) -> None:
        """An offer was accepted, or refused: what it would take away is gone, or stays."""
        if accepted and self._pending:
            self._guards.clear()
            self._said.update(self._pending)
        self._pending.clear()

    def guard(self, hop: Hashable) -> Guard:
        """Return what to expect of a hop's streams; of a stream whose hop is not known (None), of all."""
        guard = self._guards.get(hop)
        if guard is None:
            guard = self._guards[hop] = self._of_hop(hop)
        return guard

    def _of_hop(self, hop: Hashable) -> Guard:
        if hop is not None:
            here = [(where[0], said) for where, said in self._said.items() if where[1] == hop]
            return self._guard(here)
        guards = {self.guard(each) for each in {where[1] for where in self._said}}
        if len(guards) == 1:
            return guards.pop()
        kind = next((guard.kind for guard in guards if guard.kind), "")
        return Guard(PERHAPS, kind) if guards else NOTHING

    @staticmethod
    def _guard(said: list[tuple[Party, Protection]]) -> Guard:
        sides: list[list[Protection]] = [[], []]
        for party, protection in said:
            sides[party == "callee"].append(protection)
        known = [side for side in sides if side]
        if any(not any(one.offered for one in side) for side in known) or not known:
            return NOTHING
        offered = [frozenset().union(*(one.kinds for one in side)) for side in known]
        kinds = frozenset.intersection(*offered) or frozenset().union(*offered)
        kind = next((name for name in KINDS if name in kinds), UNKNOWN)
        every = [one for side in known for one in side]
        if not all(one.offered for one in every):
            return Guard(PERHAPS, kind)  # one fork took the keys, another did not
        if any(all(one.certain for one in side) for side in known):
            return Guard(PROTECTED, kind)
        # ZRTP is offered in SDP and agreed upon in the media, or not.
        return Guard(PROTECTED if len(known) == 2 and kind != "zrtp" else PERHAPS, kind)

    def _remember(self, party: Party, value: str, time_ns: int) -> None:
        crypto = parse_crypto(value)
        if crypto is None:
            return
        held = self.keys[party]
        known = {(key.suite, key.secret, key.mki) for key in held}
        for key in usable_keys(crypto, time_ns):
            if (key.suite, key.secret, key.mki) not in known:
                if len(held) >= MAX_KEYS:
                    del held[0]
                held.append(key)
