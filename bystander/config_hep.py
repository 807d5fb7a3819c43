"""The section [hep] of the configuration: where copies of signalling are taken from proxies."""

from __future__ import annotations

import ipaddress

from pydantic import field_validator, model_validator

from bystander.section import Section, host_and_port


class Hep(Section):
    """[hep]: a listener for HEP (Homer), by UDP and TCP; off where ``listen`` is not set."""

    listen: str | None = None
    tcp: bool = True
    auth_key: str | None = None
    senders: tuple[str, ...] = ()

    @field_validator("auth_key")
    @classmethod
    def _key(cls, auth_key: str | None) -> str | None:
        if auth_key == "":
            raise ValueError("an empty key lets anybody in; leave the line out if that is meant")
        return auth_key

    @field_validator("senders")
    @classmethod
    def _networks(cls, senders: tuple[str, ...]) -> tuple[str, ...]:
        for text in senders:
            try:
                ipaddress.ip_network(text)
            except ValueError:
                raise ValueError(f"{text!r} is not an address or a network") from None
        return senders

    @model_validator(mode="after")
    def _address(self) -> Hep:
        if self.listen is not None:
            host_and_port(self.listen)
        return self

    def admits(self, address: str) -> bool:
        """Tell whether an address may send: all may where none is named."""
        if not self.senders:
            return True
        sender = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(sender, ipaddress.IPv6Address) and sender.ipv4_mapped is not None:
            sender = sender.ipv4_mapped
        return any(sender in ipaddress.ip_network(text) for text in self.senders)
