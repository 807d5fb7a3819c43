"""The ordinance's rules, each with what enforces it and what tries to break it; `docs/ordinance.md` says the
same.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from bystander.cli import app

ROOT = Path(__file__).resolve().parent.parent
EVERY_WAY = "bystander/test_refusals.py::test_every_way_without_authority_is_refused_and_journalled"

#: rule: (commands that enforce it, tests that try to break it)
RULES: dict[str, tuple[set[str], set[str]]] = {
    "R1": (
        {"run"},
        {
            "test_recordings.py::test_exactly_the_calls_that_were_made",
            "sniffer/test_direction.py::test_direction",
            "bystander/test_verdict.py::test_c22_no_answered_call_is_without_one",
        },
    ),
    "R2": (
        {"listen", "disclose request", "rights copy"},
        {
            EVERY_WAY,
            "custody/test_listening.py::test_r2_r12_nothing_is_heard_without_a_reason",
            "custody/test_disclosure.py::test_r2_r15_a_request_without_reason_is_refused",
        },
    ),
    "R3": (
        {"run", "supervise", "rights clause"},
        {
            "test_announcements.py::test_r3_each_call_is_told_for_what_it_was",
            "bystander/test_announcement.py::test_r3_an_incoming_call_is_checked",
            "custody/test_supervision.py::test_r3_incoming_calls_without_announcement_are_named",
        },
    ),
    "R4": (
        {"supervise"},
        {
            "custody/test_supervision.py::test_r4_the_spot_checks_are_drawn_again_by_their_seed",
            "bystander/test_commands_supervise.py::test_r4_the_seed_of_a_report_draws_the_same_again",
        },
    ),
    "R5": (
        {"run", "status", "supervise"},
        {
            "storage/test_index.py::test_r5_coverage_over_a_stop_a_kill_and_drops",
            "storage/test_coverage.py::test_r5_every_moment_is_either_recorded_or_in_one_gap",
            "custody/test_supervision.py::test_r5_gaps_with_their_causes",
        },
    ),
    "R6": (
        {"run"},
        {
            "test_live.py::test_a_call_outlives_the_recorder",
            "sniffer/test_ring.py::test_every_frame_arrives_intact_in_order_and_nothing_is_sent",
            "test_outside.py::test_r6_r17_the_recorder_sends_nothing_over_the_mirror_nor_anywhere",
        },
    ),
    "R7": (
        {"init", "run", "verify"},
        {
            "bystander/test_vault_daemon.py::test_r7_the_recorders_memory_opens_nothing",
            "custody/test_listening.py::test_r7_no_file_is_opened_for_writing_but_those_of_the_vault",
            "custody/test_rotation.py::test_killed_at_any_step_nothing_is_lost",
            "custody/test_verify.py::test_one_flipped_byte_anywhere_is_found",
        },
    ),
    "R8": (
        {"listen", "persons add"},
        {
            EVERY_WAY,
            "custody/test_listening.py::test_r8_who_administers_or_supervises_cannot_listen",
            "bystander/test_commands_persons.py::test_r8_r16_other_roles_need_nobodys_key_and_get_none",
        },
    ),
    "R9": (
        {"calls", "listen", "persons list"},
        {
            "test_ordinance.py::test_r9_custody_needs_no_terminal_and_the_commands_no_network",
            "bystander/test_commands_listen.py::test_r14_a_hostile_text_does_not_reach_the_terminal",
        },
    ),
    "R10": (
        {"run", "retention sweep", "erase"},
        {
            "retention/test_terms.py::test_r10_the_term_ends_with_the_day_of_the_same_number",
            "retention/test_erasure.py::test_nothing_is_left_of_what_was_erased",
            "retention/test_erasure.py::test_a_power_cut_at_any_step_ends_in_the_same_state",
            "bystander/test_vault_daemon.py::test_a_clock_that_leapt_erases_nothing_until_somebody_confirms",
        },
    ),
    "R11": (
        {"hold add", "hold release", "hold list"},
        {
            "retention/test_holds.py::test_c21_a_hold_and_an_erasure_at_once_never_both_win",
            "retention/test_erasure.py::test_r11_what_is_held_is_not_erased",
            "bystander/test_commands_rights.py::test_r18_r11_refused_while_held_with_what_to_tell_the_person",
        },
    ),
    "R12": (
        {"listen", "export", "rights copy"},
        {
            EVERY_WAY,
            "custody/test_listening.py::test_r12_a_reason_says_something",
            "custody/test_handover.py::test_r12_r18_a_copy_takes_reasons_and_a_person",
        },
    ),
    "R13": (
        {"persons add", "persons revoke", "persons renew", "persons rotate", "persons list"},
        {
            EVERY_WAY,
            "custody/test_listening.py::test_r13_r18_r10_what_happens_while_it_is_opened_is_heeded",
            "custody/test_persons.py::test_r13_two_revocations_at_once_leave_one_who_can_listen",
            "custody/test_persons.py::test_r13_a_clock_set_back_makes_nobody_valid_again",
            "custody/test_persons.py::test_r13_the_recorder_takes_the_keys_of_the_lapsed_at_night",
            "custody/test_agreement.py::test_what_was_written_past_them_does_not",
        },
    ),
    "R14": (
        {"listen", "protocol fill", "protocol list", "protocol print"},
        {
            "custody/test_listening.py::test_r14_no_protocol_without_its_entry_and_no_hearing_without_either",
            "custody/test_listening.py::test_r14_an_unfinished_protocol_blocks_the_next",
            "custody/test_protocols.py::test_r14_what_was_signed_does_not_change",
            "bystander/test_commands_listen.py::test_r14_who_is_interrupted_has_listened_and_it_is_noted",
        },
    ),
    "R15": (
        {"disclose request", "disclose decide", "disclose print", "disclose list", "export", "verify-export"},
        {
            EVERY_WAY,
            "custody/test_disclosure.py::test_r15_of_two_decisions_at_once_the_first_stands",
            "custody/test_export.py::test_r15_whatever_is_changed_is_told",
            "custody/test_handover.py::test_r15_restricted_while_the_passphrase_was_asked_for",
        },
    ),
    "R16": (
        {"supervise", "journal verify", "journal show"},
        {
            "custody/test_supervision.py::test_r16_listenings_protocols_and_what_is_overdue",
            "custody/test_journal.py::test_every_deletion_insertion_and_move_is_seen",
            "custody/test_journal.py::test_every_field_of_every_entry",
            "custody/test_journal.py::test_every_cut_of_the_tail_is_seen",
            "custody/test_journal.py::test_every_older_copy_of_everything_is_told_by_a_head_known_elsewhere",
        },
    ),
    "R17": (
        {"run"},
        {
            "test_outside.py::test_r6_r17_the_recorder_sends_nothing_over_the_mirror_nor_anywhere",
            "test_outside.py::test_r17_no_command_connects_to_anything",
            "bystander/test_config.py::test_r17_another_address_has_to_be_allowed",
        },
    ),
    "R18": (
        {
            "rights find",
            "rights copy",
            "rights restrict",
            "rights unrestrict",
            "rights erase",
            "rights object",
        },
        {
            "bystander/test_commands_rights.py::test_r18_erased_at_once_and_nothing_is_left",
            "bystander/test_commands_rights.py::test_r18_what_is_not_done",
            "custody/test_rights.py::test_r18_restricted_is_kept_until_it_is_lifted",
            "custody/test_rights.py::test_r10_nothing_of_a_restriction_is_left_when_the_recording_is_erased",
        },
    ),
    "R19": (
        {"run"},
        {
            "test_ordinance.py::test_r19_nothing_is_imported_that_knows_speech_or_people",
            "bystander/test_announcement.py::test_r19_without_a_reference_nothing_is_computed",
            "bystander/test_tones.py::test_r19_only_the_sides_that_may_send_keys_as_tones_are_searched",
        },
    ),
}
#: All that the rooms import beside the standard library: none of it recognises speech or people.
THIRD_PARTY = {
    "aiosqlite", "av", "dateutil", "nacl", "numpy", "prometheus_client", "pydantic",
    "pylibsrtp", "pyrage", "pyshark", "rich", "soundfile", "typer", "typst",
}  # fmt: skip


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """Return the table of docs/ordinance.md."""
    found = {}
    for line in (ROOT / "docs/ordinance.md").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\| (R\d+) \| .*? \| (.*?) \| (.*?) \|$", line):
            commands = set(re.findall(r"`bystander ([^`]+)`", match[2]))
            found[match[1]] = (commands, set(re.findall(r"`([^`]+)`", match[3])))
    return found


def defined(path: Path) -> set[str]:
    """Return the names of the tests in a file, also of those in classes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_rule_is_here_and_the_documentation_says_the_same() -> None:
    assert list(RULES) == [f"R{number}" for number in range(1, 20)]
    assert documented() == RULES


@pytest.mark.parametrize("rule", RULES)
def test_what_enforces_a_rule_and_what_tries_to_break_it_exist(rule: str) -> None:
    commands, tests = RULES[rule]
    assert commands and tests
    program = typer.main.get_command(app)
    for command in commands:
        found: Any = program
        for word in command.split():
            assert word in getattr(found, "commands", ()), command
            found = found.commands[word]
        assert not hasattr(found, "commands"), f"{command} is a group"
    for test in tests:
        file, _, name = test.partition("::")
        assert name in defined(ROOT / "tests" / file), test


def test_each_rule_is_cited_where_it_is_enforced() -> None:
    """A reader of the code finds the rule, and a reader of the rule the code."""
    rooms = ("sniffer", "codecs", "storage", "retention", "custody", "bystander")
    code = "\n".join(
        path.read_text(encoding="utf-8") for room in rooms for path in (ROOT / room).glob("*.py")
    )
    cited = set(re.findall(r"\bR\d+\b", code))
    for first, last in re.findall(r"\bR(\d+)-R(\d+)\b", code):
        cited |= {f"R{number}" for number in range(int(first), int(last) + 1)}
    assert set(RULES) - cited <= {"R8", "R9", "R17"}, "three that the whole of it keeps, not one place"


def imports(*rooms: str) -> set[str]:
    """Return the top-level modules that some rooms import."""
    return set[str]().union(*(_imports_of(room) for room in rooms))


@functools.cache
def _imports_of(room: str) -> set[str]:
    found = set()
    for path in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def test_r19_nothing_is_imported_that_knows_speech_or_people() -> None:
    strange = imports("sniffer", "codecs", "storage", "retention", "custody", "bystander")
    strange -= set(sys.stdlib_module_names) | {"bystander"}
    assert strange <= THIRD_PARTY, "look whether it analyses voices before it is added here"


def test_r9_custody_needs_no_terminal_and_the_commands_no_network() -> None:
    """The same functions serve a console on the same machine; and nothing here speaks to another."""
    assert not imports("custody", "retention", "storage") & {
        "typer",
        "rich",
        "click",
        "getpass",
        "socket",
        "ssl",
    }
    everywhere = imports("sniffer", "codecs", "storage", "retention", "custody", "bystander")
    assert not everywhere & {
        "requests",
        "httpx",
        "aiohttp",
        "ftplib",
        "smtplib",
        "xmlrpc",
        "telnetlib",
        "paramiko",
    }
