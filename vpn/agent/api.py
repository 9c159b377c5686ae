"""Harbor's API as the agent speaks it. Answers are checked before anything reaches the tunnel."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

import httpx

from vpn.agent import x25519
from vpn.agent.driver import Interface, Wanted

LARGEST_ANSWER = 16 * 1024 * 1024


class ApiError(Exception):
    """Harbor can't be asked now; try again after `after` seconds at the earliest."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


@dataclass(frozen=True)
class Desired:
    """What the node should hold; `version` names it."""

    version: str
    interface: Interface
    peers: tuple[Wanted, ...]


class Api:
    """One server's end of the API."""

    def __init__(self, base: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self._http = httpx.Client(
            base_url=base.rstrip("/"),
            headers={"Authorization": f"Bearer {token}", "User-Agent": "harbor-vpn-agent/1"},
            timeout=httpx.Timeout(10.0),
            transport=transport,
        )

    def desired(self, known: str, wait: float) -> Desired | None:
        """Return the desired state, or None when it is still `known` after `wait` seconds."""
        response = self._call(
            "GET",
            "/agent/v1/desired",
            params={"wait": str(wait)},
            headers={"If-None-Match": f'"{known}"'} if known else {},
            timeout=httpx.Timeout(10.0, read=wait + 10.0),
        )
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return None
        return parse(_json(response))

    def report(self, body: dict[str, Any], timeout: float = 10.0) -> None:
        """Hand in a report."""
        self._call("POST", "/agent/v1/report", json=body, timeout=timeout)

    def close(self) -> None:
        self._http.close()

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as e:
            raise ApiError(f"{path}: {type(e).__name__}: {e}") from e
        if response.status_code == httpx.codes.NOT_MODIFIED or response.is_success:
            return response
        raise ApiError(f"{path}: answer {response.status_code}", after=_retry_after(response))


def parse(data: Any) -> Desired:
    """Check an answer and return it typed; raise ApiError for anything unexpected."""
    try:
        interface = data["interface"]
        return Desired(
            version=str(data["version"]),
            interface=Interface(
                listen_port=_port(interface["listen_port"]),
                addresses=tuple(str(ipaddress.ip_interface(a)) for a in interface["addresses"]),
            ),
            peers=tuple(_peer(peer) for peer in data["peers"]),
        )
    except (KeyError, TypeError, ValueError) as e:
        raise ApiError(f"an answer that we don't understand: {e!r}", after=30) from e


def _peer(data: dict[str, Any]) -> Wanted:
    return Wanted(
        public_key=_key(data["public_key"]),
        preshared_key=_key(data["preshared_key"]),
        allowed_ips=tuple(sorted(str(ipaddress.ip_network(a)) for a in data["allowed_ips"])),
    )


def _key(text: str) -> str:
    return x25519.encode(x25519.decode(text))


def _port(value: Any) -> int:
    port = int(value)
    if not 0 < port < 65536:
        raise ValueError("port")
    return port


def _json(response: httpx.Response) -> Any:
    if len(response.content) > LARGEST_ANSWER:
        raise ApiError("an answer too large to believe", after=30)
    try:
        return response.json()
    except ValueError as e:
        raise ApiError("an answer that is not JSON", after=10) from e


def _retry_after(response: httpx.Response) -> float:
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return 60.0  # the token was replaced: no hurry until an operator brings the new one
    try:
        return min(float(response.headers.get("Retry-After", 0)), 300.0)
    except ValueError:
        return 0.0
