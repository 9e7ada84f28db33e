"""Fetching for strangers: connections to public addresses only, so that nobody reads a network from its inside."""

import http.client
import ipaddress
import socket
import urllib.request
from typing import Any

from videopath_hf.video.fetch import NoRedirects

_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class PrivateAddressError(OSError):
    """A host whose address is not public; nothing was sent to it."""


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody on the internet may be at.

    Private, loopback, link-local (cloud metadata), shared, multicast and reserved addresses are not, nor are IPv6
    addresses that stand for such an IPv4 one (mapped, 6to4, NAT64, Teredo).
    """
    found: Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if found.teredo is not None or found not in _GLOBAL_UNICAST:
            return False
    return found.is_global and not found.is_multicast


def public_opener() -> urllib.request.OpenerDirector:
    """An opener for [`~videopath_hf.video.fetch.download`] that connects to public addresses only.

    A name is resolved once and what is connected to is what was checked, also for each redirect: a name server that
    answers otherwise the second time gains nothing. Proxies of the environment are not used, since they resolve names
    themselves.
    """
    return urllib.request.build_opener(NoRedirects, urllib.request.ProxyHandler({}), _HTTPHandler(), _HTTPSHandler())


def _connect(place: tuple[str, int], timeout: Any = None, source: Any = None) -> socket.socket:
    """As `socket.create_connection`, but all addresses of the host must be public.

    Raises:
        PrivateAddressError: one of them is not.
    """
    host, port = place
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, where in found:
        if not is_public(str(where[0])):
            raise PrivateAddressError(f"{host} is at {where[0]}, which is not a public address")
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, where in found:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(timeout)
            connection.connect(where)
            return connection
        except OSError as error:
            connection.close()
            failure = error
    raise failure


class _HTTPConnection(http.client.HTTPConnection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._create_connection = _connect


class _HTTPSConnection(http.client.HTTPSConnection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._create_connection = _connect


class _HTTPHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_HTTPConnection, req)


class _HTTPSHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_HTTPSConnection, req)
