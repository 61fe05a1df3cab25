"""What a test depends on: its static facts, and the fixture instances that it uses, with their spans.

An instance is *wide* if its scope is wider than a function: other tests may use it too.

The differences between the versions of pluggy are in `outermost`. pluggy 1.2 has new-style wrappers, which are faster:
`yield` returns the result, or raises. Before that, `yield` returns an object that contains the result or the exception.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from typing import Any, Callable, Generator, Iterable

import pytest

from .channel import CLOSE, Channel, dumps

Wrapper = Generator[None, Any, Any]

try:
    outermost = pytest.hookimpl(wrapper=True, tryfirst=True)
    innermost = pytest.hookimpl(wrapper=True, trylast=True)
    OLD_STYLE = False
except TypeError:
    outermost = pytest.hookimpl(hookwrapper=True, tryfirst=True)
    innermost = pytest.hookimpl(hookwrapper=True, trylast=True)
    OLD_STYLE = True

OPEN_FIXTURE = '["open",%d,%d,"fixture",%d]'
PARAM_LENGTH = 200  # characters of a parameter's id that are reported


class Fixtures:
    """The hooks around the fixtures of a session.

    Args:
        channel: writes the messages.
        report_uses: reports which instances the current test of this thread uses.
    """

    def __init__(self, channel: Channel, report_uses: Callable[[], None]) -> None:
        self.channel, self.safely, self.report_uses = channel, channel.safely, report_uses
        self.live: dict[int, Instance] = {}  # id of a FixtureDef → its present instance

    @outermost
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Wrapper:
        __tracebackhide__ = True
        defs = getattr(request, "_fixture_defs", {})
        before = len(defs)
        instance = self.safely(self._open, fixturedef, request, defs)
        try:
            return (yield)
        finally:
            if instance is not None:
                self.safely(self._end_setup, instance, defs, before)

    def _open(self, fixturedef: Any, request: Any, defs: dict[str, Any]) -> Instance | None:
        if getattr(fixturedef.func, "__name__", "") == "get_direct_param_fixture_func":
            return None  # not a fixture: pytest passes a parameter to the test in this way
        instance = self.live[id(fixturedef)] = Instance(self, fixturedef, request)
        # The fixtures that it names as arguments are active by now. One of them may have its own name: it overrides it.
        self._add_requirements(instance, (defs[name] for name in fixturedef.argnames if name in defs))
        name, baseid = fixturedef.argname, getattr(fixturedef, "baseid", None) or ""
        message = ["instance", instance.id, name, request.scope, baseid, request.node.nodeid, _param(request)]
        self.channel.send(dumps(message) + "," + OPEN_FIXTURE % (instance.span, self.channel.clock(), instance.id))
        return instance

    def _end_setup(self, instance: Instance, defs: dict[str, Any], before: int) -> None:
        """Close the span of a set-up, and report what the instance requires.

        The active fixtures after the first `before` ones were requested by `getfixturevalue` during the set-up. Limit:
        a fixture that the test had requested already is not among them. This test uses it anyway, but a later test
        that requests only this instance is not connected to it.
        """
        self._add_requirements(instance, list(defs.values())[before:])
        if instance.requires:
            self.channel.queue(dumps(["requires", instance.id, instance.requires]))
        instance.close_span()

    def _add_requirements(self, instance: Instance, fixturedefs: Iterable[Any]) -> None:
        for fixturedef in fixturedefs:
            required = self.live.get(id(fixturedef))
            if required is not None and required is not instance:
                instance.requires += [number for number in required.wide_ids if number not in instance.requires]

    def wide_ids(self, fixturedefs: Iterable[Any]) -> list[int]:
        """The wide instances that a request of these fixtures depends on."""
        instances = [self.live.get(id(fixturedef)) for fixturedef in fixturedefs]
        return [number for instance in instances if instance is not None for number in instance.wide_ids]

    def failed_with(self, error: BaseException) -> list[int]:
        """The wide instances whose set-up failed with this exception, which pytest raises again for each request."""
        failed = []
        for instance in list(self.live.values()):  # a copy: another thread may set up a fixture meanwhile
            cached = instance.fixturedef.cached_result
            if instance.wide and cached and cached[2] and any(part is error for part in cached[2]):
                failed.append(instance.id)
        return failed


class Instance:
    """One set-up of one fixture, with the finalizers that belong to it."""

    def __init__(self, fixtures: Fixtures, fixturedef: Any, request: Any) -> None:
        self.fixtures, self.channel = fixtures, fixtures.channel
        self.fixturedef = fixturedef
        self.id = next(self.channel.ids)
        self.wide = request.scope != "function"
        self.requires: list[int] = []  # wide instances
        self.span = next(self.channel.ids)  # of the set-up or the finalizers; 0: none is open
        self._opener = self.open  # kept, because each access to `self.open` makes another object
        self._add_finalizer = fixturedef.addfinalizer
        self._add_finalizer(self.close)
        fixturedef.addfinalizer = self.add_finalizer

    @property
    def wide_ids(self) -> list[int]:
        """The wide instances that a requester of this instance depends on."""
        return [self.id] if self.wide else self.requires

    def add_finalizer(self, finalizer: Callable[[], object]) -> None:
        """Make sure that the instance's span opens before the newest of its finalizers runs.

        Finalizers run from the newest to the oldest. A factory adds some during the test, or in another finalizer.
        """
        self._add_finalizer(finalizer)
        self.channel.safely(self._add_opener, finalizer)

    def _add_opener(self, finalizer: Any) -> None:
        finish = getattr(getattr(finalizer, "func", None), "__func__", None)
        if finish is type(self.fixturedef).finish:
            return  # it finishes a fixture that requests this one, whose finalizers belong to that fixture
        finalizers: Any = getattr(self.fixturedef, "_finalizers", ())
        if finalizers[-2:-1] == [self._opener]:
            finalizers[-2:] = finalizers[:-3:-1]
        else:
            self._add_finalizer(self._opener)

    def open(self) -> None:
        """The newest finalizer: opens the span for the others."""
        self.channel.safely(self._open)

    def close(self) -> None:
        """The oldest finalizer: closes the span."""
        self.channel.safely(self._close)

    def _open(self) -> None:
        if not self.span:
            self.span = next(self.channel.ids)
            self.channel.send(OPEN_FIXTURE % (self.span, self.channel.clock(), self.id))

    def _close(self) -> None:
        if self.wide:
            self.fixtures.report_uses()  # the test in whose teardown this ends may have requested it in a finalizer
        self.close_span()
        vars(self.fixturedef).pop("addfinalizer", None)
        live = self.fixtures.live
        if live.get(id(self.fixturedef)) is self:
            del live[id(self.fixturedef)]

    def close_span(self) -> None:
        """Close the span of the set-up or of the finalizers, if it is open."""
        if self.span:
            span, self.span = self.span, 0
            self.channel.send(CLOSE % (span, self.channel.clock()))


def _param(request: Any) -> str | None:
    """A fixture's parameter as the test's id shows it. Never its repr: that would run code of the suite."""
    if not hasattr(request, "param"):
        return None
    name = request.fixturename
    callspec = getattr(request._pyfuncitem, "callspec", None)
    params = list(getattr(callspec, "params", ()))
    ids = getattr(callspec, "_idlist", ())
    if len(ids) == len(params) and name in params:  # one id for each name
        return str(ids[params.index(name)])[:PARAM_LENGTH]
    if type(request.param) in (str, int, float, bool, type(None)):
        return str(request.param)[:PARAM_LENGTH]
    return "%s%d" % (name, request.param_index)


def plain_nodeid(item: pytest.Item) -> str:
    """The node id by which pytest selects a test: for --dist loadgroup, xdist appends @group to it on older pytests."""
    nodeid = item.nodeid
    plain = "%s::%s" % (item.parent.nodeid if item.parent else "", item.name)
    return plain if nodeid.startswith(plain + "@") else nodeid


def static_facts(item: pytest.Item, names: list[str]) -> tuple[Any, ...]:
    """Path, fixture closure, markers (nearest first, without repeats), class and bases, autouse fixtures, group."""
    markers: dict[str, None] = {}
    bases: tuple[str, ...] = ()
    node: Any = item
    while node is not None:
        markers.update(dict.fromkeys(mark.name for mark in node.own_markers))
        if not bases and isinstance(node, pytest.Class):
            mro = (base for base in node.obj.__mro__ if base is not object)
            bases = tuple("%s.%s" % (base.__module__, base.__qualname__) for base in mro)
        node = node.parent
    group = _group(item) if "xdist_group" in markers else ""
    return file_nodeid(item), tuple(names), tuple(markers), bases, _autouse(item, names), group


def _group(item: pytest.Item) -> str:
    """The name of the test's group, as xdist finds it."""
    for mark in item.iter_markers("xdist_group"):
        return str(mark.args[0] if mark.args else mark.kwargs.get("name", "default"))
    return ""


def _autouse(item: Any, names: list[str]) -> tuple[str, ...]:
    """The fixtures that are active without a request."""
    fixturedefs = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    # Older pytests have this in place of `FixtureDef._autouse`: base id → names.
    autouse_names = getattr(item.session._fixturemanager, "_nodeid_autousenames", {})

    def is_autouse(fixturedef: Any) -> bool:
        named = fixturedef.argname in autouse_names.get(fixturedef.baseid or "", ())
        return bool(getattr(fixturedef, "_autouse", named))

    return tuple(name for name in names if any(map(is_autouse, fixturedefs.get(name, ())[-1:])))


def file_nodeid(node: Any) -> str:
    """The node id of the file that contains a node. The file's name may contain `::` too."""
    file = node.getparent(pytest.File)
    return str((node if file is None else file).nodeid)
