"""Masked keys are nowhere in the vault: not in the index, nor in what is unsealed, nor in the spool."""

from __future__ import annotations

import io
import re
import sqlite3
from pathlib import Path

import pytest
import soundfile

from bystander.cli import main
from bystander.codecs.dtmf import tones
from bystander.config import load
from bystander.inspect import evidence_messages
from bystander.recovery import NAME, SignallingLog, read_log
from bystander.storage.identity import read_identity
from bystander.storage.keyring import Keyring
from bystander.storage.opening import open_recording, vault_identities
from tests.scenes.scenery import Line, Scene
from tests.scenes.test_keys import event, open_call, say, sound

SECRET = "4916338506"
PASSPHRASE = "correct horse"


def capture() -> bytes:
    """A card number by events, by INFO of two kinds, and in the audio of the other side."""
    made = Scene()
    line = Line(made)
    open_call(line)
    mine, said = line.says(), line.replies()
    say(made, said, 1, sound(8, {3.5 + 0.3 * n: key for n, key in enumerate(SECRET)}))
    at = 1.5
    for n, key in enumerate(SECRET):
        event(made, mine, at, int(key))
        kind, body = ("dtmf-relay", f"Signal={key}\r\nDuration=80\r\n") if n % 2 else ("dtmf", key)
        line.message(at + 0.05, "INFO sip:x@x SIP/2.0", f"{20 + n} INFO", body, kind=f"application/{kind}")
        at += 0.3
    line.bye(9, cseq=90)
    return made.pcap()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pass").write_text(PASSPHRASE + "\n")
    person = ["--first-person", "A", "--post", "B", "--authorisation", "1"]
    key = ["--identity-out", str(tmp_path / "key"), "--passphrase-file", str(tmp_path / "pass")]
    assert main(["init", str(tmp_path / "v"), *person, *key]) == 0
    monkeypatch.setenv("BYSTANDER_CONFIG", str(tmp_path / "v/bystander.toml"))
    (tmp_path / "call.pcap").write_bytes(capture())
    return tmp_path / "v/bystander.toml"


def unsealed(folder: Path, key: Path) -> tuple[bytes, bytes]:
    """The recording and the evidence of the only call, opened."""
    keyring = Keyring.open(folder / "keyring.sqlite")
    (name,) = sqlite3.connect(folder / "index.sqlite").execute("SELECT id FROM calls").fetchone()
    identities = vault_identities(keyring, read_identity(key, PASSPHRASE))
    (audio,), (evidence,) = folder.rglob("*.wav.age"), folder.rglob("*.pcap.age")
    opened = [open_recording(keyring, identities, name, path) for path in (audio, evidence)]
    return opened[0], opened[1]


def keys_told(evidence: bytes, folder: Path) -> str:
    path = folder / "evidence.pcap"
    path.write_bytes(evidence)
    bodies = [m.message.body.decode() for m in evidence_messages(path) if m.message.method == "INFO"]
    assert len(bodies) == len(SECRET), "every message is there, and is one"
    return "".join(re.sub("Signal=|\r\n|Duration=80", "", body) for body in bodies)


@pytest.mark.parametrize("masks", [False, True])
def test_masked_keys_are_nowhere_in_the_vault(config: Path, tmp_path: Path, masks: bool) -> None:
    if masks:
        text = config.read_text().replace('mask = "none"', 'mask = "all"')
        config.write_text(text.replace("mask_tones = false", "mask_tones = true"))
    else:
        config.write_text(config.read_text().replace('inband = "auto"', 'inband = "always"'))
    assert main(["run", "--read", str(tmp_path / "call.pcap")]) == 0
    audio, evidence = unsealed(config.parent, tmp_path / "key")
    told = keys_told(evidence, tmp_path)
    index = b"".join(path.read_bytes() for path in config.parent.glob("index.sqlite*"))
    listed = re.findall(rb'"digit": ?"(.)"', index)
    samples, rate = soundfile.read(io.BytesIO(audio), dtype="int16", always_2d=True)
    heard = "".join(held.key for held in tones(samples[:, 1].copy(), rate))
    assert len(listed) % (2 * len(SECRET)) == 0 and listed
    if not masks:
        assert told == heard == SECRET
        assert set(b"".join(listed).decode()) == set(SECRET)
        return
    assert told == "x" * len(SECRET)
    assert set(listed) == {b"x"}
    assert heard == ""
    spool = b"".join(path.read_bytes() for path in (config.parent / "spool").rglob("*") if path.is_file())
    for content in (audio, evidence, index, spool):
        assert SECRET.encode() not in content and not re.search(rb"Signal=\d", content)


def test_the_log_of_calls_in_progress_never_holds_them(tmp_path: Path) -> None:
    """A recorder that is killed in mid-call leaves its log: it says when a key was pressed, not which."""
    hides = tmp_path / "masks.toml"
    hides.write_text('[digits]\nmask = "after 4"\n')
    path = tmp_path / "call.pcap"
    path.write_bytes(capture())
    arrivals = evidence_messages(path)
    (tmp_path / "spool").mkdir()
    log = SignallingLog(tmp_path / "spool", load(hides).digits.shown)
    for arrival in arrivals:
        log.append(arrival)
    whole = (tmp_path / "spool" / NAME).read_bytes()
    log.begin_anew(arrivals)
    log.close(remove=False)
    assert (tmp_path / "spool" / NAME).read_bytes() == whole
    assert whole.count(b"Signal=x") == len(SECRET) // 2
    assert not re.search(rb"Signal=\d|\r\n\r\n\d", whole)
    assert len(list(read_log(tmp_path / "spool"))) == len(arrivals)
