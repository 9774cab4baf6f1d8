"""What VALKEY_URL may say."""

import pytest

from aerodash import valkey_url


def test_one_server_stays_as_it_is():
    for url in (
        "redis://127.0.0.1:6379/2",
        "unix:///run/valkey.sock",
        "rediss://u:p%40@h:1/0?ssl_ca_certs=/a,b",
    ):
        assert valkey_url.nodes(url) == [url]


def test_nodes_share_user_database_and_parameters():
    assert valkey_url.nodes("rediss://u:p,w@one:1,[::1]:2,three/0?x=y") == [
        "rediss://u:p,w@one:1/0?x=y",
        "rediss://u:p,w@[::1]:2/0?x=y",
        "rediss://u:p,w@three/0?x=y",
    ]


def test_another_node_of_the_same_cluster():
    assert valkey_url.at("rediss://u:p@one:1/0?x=y", "::1", 7) == "rediss://u:p@[::1]:7/0?x=y"
    assert valkey_url.at("redis://one", "10.0.0.2", 7) == "redis://10.0.0.2:7"


@pytest.mark.parametrize(
    "url", ["http://h", "h:1", "redis://", "redis://h:port", "redis://a:1,,b:2", "redis://h:99999", "unix://"]
)
def test_what_is_no_address_is_refused(url: str):
    with pytest.raises(ValueError, match=r"it |port"):
        valkey_url.nodes(url)
