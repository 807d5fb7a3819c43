"""The table of the dialog machine."""

from __future__ import annotations

import pytest

from bystander.sniffer.dialogs import FINISHED, OUTCOMES, TRANSITIONS, Event, State, final_event

CONTRACT = {"answered", "cancelled", "busy", "failed", "unanswered", "incomplete"}


def walk(*events: Event) -> State:
    state = State.CALLING
    for event in events:
        state = TRANSITIONS[state].get(event, state)
    return state


def test_every_state_has_a_row_and_an_outcome() -> None:
    assert set(TRANSITIONS) == set(OUTCOMES) == set(State)
    assert set(OUTCOMES.values()) == CONTRACT


def test_every_state_can_be_reached() -> None:
    reached = {State.CALLING} | {after for row in TRANSITIONS.values() for after in row.values()}
    assert reached == set(State)


@pytest.mark.parametrize("state", [s for s in State if OUTCOMES[s] != "answered"])
def test_a_success_always_wins(state: State) -> None:
    """C6: CANCEL crossing 200, a fork that answers after another was busy."""
    assert TRANSITIONS[state][Event.SUCCESS] is State.ANSWERED


@pytest.mark.parametrize("event", [e for e in Event if e not in (Event.BYE, Event.MEDIA_TIMEOUT)])
def test_nothing_undoes_an_answer_but_its_end(event: Event) -> None:
    assert walk(Event.SUCCESS, event) is State.ANSWERED


@pytest.mark.parametrize("event", [event for event in Event if event is not Event.BYE_CHALLENGED])
def test_an_ended_call_stays_ended(event: Event) -> None:
    assert walk(Event.SUCCESS, Event.BYE, event) is State.ENDED


def test_a_bye_that_is_challenged_has_ended_nothing() -> None:
    assert walk(Event.SUCCESS, Event.BYE, Event.BYE_CHALLENGED) is State.ANSWERED
    assert walk(Event.SUCCESS, Event.BYE, Event.BYE_CHALLENGED, Event.BYE) is State.ENDED


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ([], "incomplete"),
        ([Event.RINGING, Event.CAPTURE_END], "incomplete"),
        ([Event.RINGING, Event.SETUP_TIMEOUT], "unanswered"),
        ([Event.SETUP_TIMEOUT], "incomplete"),
        ([Event.RINGING, Event.CANCEL, Event.TERMINATED], "cancelled"),
        ([Event.RINGING, Event.CANCEL], "cancelled"),
        ([Event.RINGING, Event.CANCEL, Event.SUCCESS, Event.BYE], "answered"),
        ([Event.CHALLENGE], "failed"),
        ([Event.CHALLENGE, Event.INVITE, Event.RINGING, Event.SUCCESS], "answered"),
        ([Event.CHALLENGE, Event.INVITE, Event.BUSY], "busy"),
        ([Event.BUSY, Event.INVITE, Event.RINGING, Event.NO_ANSWER], "unanswered"),
        ([Event.RINGING, Event.BYE], "answered"),
        ([Event.RINGING, Event.BYE, Event.TERMINATED], "cancelled"),
        ([Event.RINGING, Event.BYE, Event.SUCCESS], "answered"),
    ],
)
def test_what_a_story_amounts_to(events: list[Event], outcome: str) -> None:
    assert OUTCOMES[walk(*events)] == outcome


@pytest.mark.parametrize(
    ("status", "rang", "event"),
    [
        (486, True, Event.BUSY),
        (600, False, Event.BUSY),
        (487, True, Event.TERMINATED),
        (401, False, Event.CHALLENGE),
        (407, False, Event.CHALLENGE),
        (302, False, Event.CHALLENGE),
        (480, True, Event.NO_ANSWER),
        (408, True, Event.NO_ANSWER),
        (480, False, Event.REJECTED),
        (408, False, Event.REJECTED),
        (603, True, Event.REJECTED),
        (404, False, Event.REJECTED),
        (503, False, Event.REJECTED),
    ],
)
def test_final_responses(status: int, rang: bool, event: Event) -> None:
    assert final_event(status, rang) is event


def test_finished_states_wait_for_nothing() -> None:
    """A clock does not move a state in which nothing more is expected."""
    for state in FINISHED:
        assert not {Event.SETUP_TIMEOUT, Event.CAPTURE_END} & TRANSITIONS[state].keys()
