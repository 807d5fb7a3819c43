"""A real TLS connection without a network: OpenSSL at both ends, what they say to each other in bytes."""

from __future__ import annotations

import ssl
import subprocess
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

#: Removed when the tests end.
_FOLDER = TemporaryDirectory(prefix="bystander-test-")
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@lru_cache(1)
def certificate() -> tuple[str, str]:
    """A key and a certificate for it, of nobody's, for as long as the tests run."""
    folder = Path(_FOLDER.name)
    key, cert = folder / "key.pem", folder / "cert.pem"
    asked = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    asked += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=pbx.example"]
    subprocess.run(asked, check=True, capture_output=True)
    return str(cert), str(key)


class TlsPair:
    """Client and server after their handshake; ``keylog`` gets the client's secrets.

    ``handshake`` is what went over the wire till then: (by the client?, bytes).
    """

    def __init__(self, keylog: Path, version: str = "1.3", alpn: str = "") -> None:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(*certificate())
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.minimum_version = client.maximum_version = VERSIONS[version]
        client.keylog_filename = str(keylog)
        if alpn:
            client.set_alpn_protocols([alpn])
            server.set_alpn_protocols([alpn])
        self._inbox = {True: ssl.MemoryBIO(), False: ssl.MemoryBIO()}
        self._outbox = {True: ssl.MemoryBIO(), False: ssl.MemoryBIO()}
        self._ends = {
            True: client.wrap_bio(self._inbox[True], self._outbox[True]),
            False: server.wrap_bio(self._inbox[False], self._outbox[False], server_side=True),
        }
        self.handshake: list[tuple[bool, bytes]] = []
        waiting = {True, False}
        while waiting:
            for side in (True, False):
                try:
                    if side in waiting:
                        self._ends[side].do_handshake()
                        waiting.discard(side)
                except ssl.SSLWantReadError:
                    pass
                if data := self._carry(side):
                    self.handshake.append((side, data))

    def _carry(self, side: bool) -> bytes:
        data = self._outbox[side].read()
        self._inbox[not side].write(data)
        return data

    def wrap(self, by_client: bool, message: bytes) -> bytes:
        """What the wire shows of a message."""
        self._ends[by_client].write(message)
        data = self._carry(by_client)
        assert self._ends[not by_client].read(len(message) + 1) == message
        return data
