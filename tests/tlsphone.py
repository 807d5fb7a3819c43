"""A telephone that speaks SIP over TLS and says a tone: ``python tlsphone.py caller|callee OWN PEER FOLDER``.

It uses real sockets and OpenSSL; the caller writes its keys to FOLDER/keys.log, the callee has
FOLDER/cert.pem and FOLDER/key.pem.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "scenes"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenery import CALLEE_HZ, CALLER_HZ, rtp, sdp, tone

PORT, MEDIA = 5061, 4000
TALK_S = 3.0


def message(start: str, cseq: str, own: str, peer: str, *, tag: bool = True, body: str = "") -> bytes:
    """One message of the call from ``own`` to ``peer``."""
    lines = [
        start, f"Via: SIP/2.0/TLS {own};branch=z9hG4bK{cseq.replace(' ', '')}",
        f"From: <sip:101@{own}>;tag=caller", f"To: <sip:102@{peer}>{';tag=callee' if tag else ''}",
        f"Call-ID: tls@{own}", f"CSeq: {cseq}", *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
    ]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def receive(stream: ssl.SSLSocket) -> bytes:
    """Read until a message is whole."""
    data = b""
    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < int(
        data.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
    ):
        data += stream.recv(4096)
    return data


def talk(own: str, peer: str, hz: float, ssrc: int) -> threading.Thread:
    """Say a tone for a while."""

    def run() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
            media.bind((own, MEDIA))
            began = time.monotonic()
            for number in range(round(TALK_S * 50)):
                time.sleep(max(0.0, began + number / 50 - time.monotonic()))
                at = number * 160
                media.sendto(rtp(number, at, ssrc, tone(hz, at, 160)), (peer, MEDIA))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def caller(own: str, peer: str, folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.keylog_filename = str(folder / "keys.log")
    with context.wrap_socket(socket.create_connection((peer, PORT), 10, (own, 0))) as stream:
        stream.sendall(
            message("INVITE sip:102@x SIP/2.0", "1 INVITE", own, peer, tag=False, body=sdp(own, MEDIA))
        )
        receive(stream)
        stream.sendall(message("ACK sip:102@x SIP/2.0", "1 ACK", own, peer))
        talk(own, peer, CALLER_HZ, 0x11).join()
        time.sleep(0.2)
        stream.sendall(message("BYE sip:102@x SIP/2.0", "2 BYE", own, peer))
        receive(stream)


def callee(own: str, peer: str, folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with socket.create_server((own, PORT)) as server:
        print("ready", flush=True)
        connection, _ = server.accept()
        with context.wrap_socket(connection, server_side=True) as stream:
            receive(stream)
            stream.sendall(message("SIP/2.0 200 OK", "1 INVITE", peer, own, body=sdp(own, MEDIA)))
            receive(stream)
            saying = talk(own, peer, CALLEE_HZ, 0x22)
            receive(stream)
            saying.join()
            stream.sendall(message("SIP/2.0 200 OK", "2 BYE", peer, own))


if __name__ == "__main__":
    role, own, peer, folder = sys.argv[1:]
    (caller if role == "caller" else callee)(own, peer, Path(folder))
