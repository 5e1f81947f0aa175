"""URLs have one form, and a name may stand only for addresses that may be reached."""

from __future__ import annotations

import ipaddress

import pytest

from metier.effects import EffectError
from metier.effects.addresses import parse_url, reachable


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("http://Example.COM", "http://example.com/"),
        ("HTTPS://example.com:443/a", "https://example.com/a"),
        ("http://example.com:80/", "http://example.com/"),
        ("http://example.com:8080/", "http://example.com:8080/"),
        ("http://example.com./a?b=c#d", "http://example.com/a?b=c"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://example.com/a/./b/../c", "http://example.com/a/c"),
        ("http://example.com/a/%2e%2E/b", "http://example.com/b"),
        ("http://example.com/../../a", "http://example.com/a"),
        ("http://example.com/a/..", "http://example.com/"),
        ("http://example.com/a/", "http://example.com/a/"),
        ("http://example.com/ä?ü", "http://example.com/%C3%A4?%C3%BC"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://[0:0:0:0:0:0:0:1]/", "http://[::1]/"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
        ("http://１２７.0.0.1/", "http://127.0.0.1/"),
        ("http://example。com/", "http://example.com/"),
    ],
)
def test_a_url_has_one_form(url: str, canonical: str) -> None:
    assert parse_url(url).url == canonical
    assert parse_url(canonical).url == canonical


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.com/",
        "file:///etc/passwd",
        "//example.com/",
        "http:/example.com",
        "http://",
        "http:///a",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://example.com@169.254.169.254/",
        "http://example.com\\@evil.example/",
        "http://example.com /",
        "http://exa\tmple.com/",
        "http://example.com/\r\nHost: evil",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:8x/",
        "http://example.com:٨٠/",
        "http://%31%32%37.0.0.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.1/",
        "http://0x7f.0.0.1/",
        "http://127.0.0.1.0/",
        "http://127.0.0.0x1/",
        "http://256.0.0.1/",
        "http://[::1%25eth0]/",
        "http://[::1/",
        "http://[:::]/",
        "http://-a.example/",
        "http://a..example/",
        "http://.example/",
        "http://" + "a" * 64 + ".example/",
        "http://example.com/a%2fb",
        "http://example.com/a%5cb",
        "http://example.com/a%00b",
        "http://example.com/a%zz",
        "http://example.com//a",
        "http://example.com/" + "a" * 9000,
    ],
)
def test_what_has_two_readings_or_none_is_refused(url: str) -> None:
    with pytest.raises(EffectError) as caught:
        parse_url(url)
    assert caught.value.kind == "invalid"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.1"),
        *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "fec0::1"),
        *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1"),
    ],
)
def test_addresses_off_the_public_network_are_denied(address: str) -> None:
    for found in ([address], ["93.184.215.14", address], [address, "2606:4700::1111"]):
        with pytest.raises(EffectError) as caught:
            reachable(parse_url("http://example.com/"), [], lambda host, port, found=found: found)
        assert caught.value.kind == "unreachable"
        assert address not in str(caught.value)


def test_public_addresses_and_named_networks_may_be_reached() -> None:
    target = parse_url("http://example.com/")
    assert reachable(target, [], lambda *_: ["93.184.215.14", "2606:4700::1111"]) == [
        "93.184.215.14",
        "2606:4700::1111",
    ]
    loopback = [ipaddress.ip_network("127.0.0.0/8")]
    assert reachable(target, loopback, lambda *_: ["127.0.0.1"]) == ["127.0.0.1"]
    with pytest.raises(EffectError):
        reachable(target, loopback, lambda *_: ["::ffff:127.0.0.1"])


def test_a_name_that_does_not_resolve_cannot_be_reached() -> None:
    def fails(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    for resolver in (fails, lambda *_: []):
        with pytest.raises(EffectError) as caught:
            reachable(parse_url("http://example.com/"), [], resolver)
        assert caught.value.kind == "unreachable"
