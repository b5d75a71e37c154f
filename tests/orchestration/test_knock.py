"""Whether anybody listens where a Ray cluster is said to be."""

from __future__ import annotations

import socket

import pytest

from orchestration.fleet import _knock


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_cluster_is_found_by_an_address_of_ipv6(scheme: str) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as head:
        _knock(f"{scheme}[::1]:{head.getsockname()[1]}")


def test_where_nobody_listens_nobody_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        _knock(f"127.0.0.1:{port}")


def test_ray_finds_the_cluster_of_this_machine_by_itself() -> None:
    _knock("auto")
