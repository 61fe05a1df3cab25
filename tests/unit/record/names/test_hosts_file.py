from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.record.names import hosts_file as module
from tracer.record.names.hosts_file import names_in


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("10.0.0.5 db.internal db", {"10.0.0.5": ("db.internal", "db")}),
        ("10.0.0.5\tDB.Internal. # primary\n#10.0.0.6 old\n\n", {"10.0.0.5": ("db.internal",)}),
        ("  10.0.0.7   cache  \r\n10.0.0.8 last", {"10.0.0.7": ("cache",), "10.0.0.8": ("last",)}),
        ("10.0.0.5 a\n10.0.0.5 b a", {"10.0.0.5": ("a", "b")}),
        ("FD00:0::5 six\n::ffff:10.0.0.5 mapped", {"fd00::5": ("six",), "10.0.0.5": ("mapped",)}),
        ("fe80::1%eth0 router", {"fe80::1": ("router",)}),
        ("127.0.0.1 localhost api.test\n::1 ip6-localhost\n0.0.0.0 ads.example", {}),
        ("127.0.1.1 laptop", {"127.0.1.1": ("laptop",)}),
        ("10.0.0.5 localhost 10.0.0.6 b\u00fccher _srv_1", {"10.0.0.5": ("_srv_1",)}),
        ("10.0.0 short\n10.0.0.256 large\n1.2.3.4\nname 1.2.3.4\n\0\n:: none", {}),
    ],
)
def test_names_of_a_file(text: str, names: dict[str, tuple[str, ...]]) -> None:
    assert names_in(text) == names


@given(
    st.text()
    | st.lists(st.sampled_from(["10.0.0.5", "::1", "fe80::1%e", "%", "#", " ", "\n", "a", ".", "\ud800"])).map("".join)
)
def test_no_text_is_an_error(text: str) -> None:
    assert isinstance(names_in(text), dict)


def test_the_number_of_names_of_an_address_is_bounded() -> None:
    text = "\n".join(f"10.0.0.5 n{number}" for number in range(10_000))
    assert [*names_in(text).values()] == [tuple(f"n{number}" for number in range(8))]


def test_links_are_not_followed_in_another_root(tmp_path: Path) -> None:
    """An absolute link would lead into the tracer's own root."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "hosts").write_text("10.0.0.5 stolen\n")
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "etc").symlink_to(tmp_path / "real")
    (tmp_path / "part" / "etc").mkdir(parents=True)
    (tmp_path / "part" / "etc" / "hosts").symlink_to(tmp_path / "real" / "hosts")
    (tmp_path / "none" / "etc").mkdir(parents=True)
    (tmp_path / "none" / "etc" / "hosts").write_text("10.0.0.5 own\n")
    for root in ("whole", "part"):
        with pytest.raises(OSError, match=r"Not a directory|not a regular file"):
            module.read(1, tmp_path / root, None)
    answer = module.read(1, tmp_path / "none", None)
    assert answer.names == {"10.0.0.5": ("own",)}
    assert module.read(1, tmp_path / "none", answer.version).names is None
