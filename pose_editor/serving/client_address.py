"""Whose request it is, as far as an address tells: what one client may have at a time is counted by it.

The address is that of the connection. Behind a proxy this is the proxy's, everybody's at once, so its ``X-Forwarded-For`` has to be
believed instead; from anybody else that header is a claim and is not looked at. Uvicorn does both, once it is told by ``trust`` which
addresses are proxies.
"""

from __future__ import annotations

import ipaddress
import os
from typing import Any

SPACE_PROXIES = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,127.0.0.1,::1"  # a Space is reached through its provider's network alone
UNKNOWN = "unknown"


def default_proxies() -> str:
    """The proxies to believe where the command line does not say."""
    return os.environ.get("FORWARDED_ALLOW_IPS", SPACE_PROXIES if os.environ.get("SPACE_ID") else "")


def trust(proxies: str) -> None:
    """Believe the forwarded addresses of these proxies, separated by commas; of nobody if empty. Uvicorn's own default is 127.0.0.1."""
    os.environ["FORWARDED_ALLOW_IPS"] = proxies


def client_address(client: Any) -> str:
    """What counts as one client: an IPv4 address, or the network of an IPv6 address, of which a client has as many as it likes.

    Args:
        client: (address, port) as in an ASGI scope, or None.
    """
    try:
        address = ipaddress.ip_address(str(client[0]).partition("%")[0])
    except (TypeError, IndexError, ValueError):
        return UNKNOWN
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
