import ctypes

_libc = ctypes.CDLL(None, use_errno=True)
_ROUTINE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)


class CThread:
    """A thread of pthread_create(3): Python's `threading` knows nothing of it."""

    def __init__(self, function):
        self.routine = _ROUTINE(lambda _: function())
        self.id = ctypes.c_ulong()
        assert _libc.pthread_create(ctypes.byref(self.id), None, self.routine, None) == 0

    def join(self):
        assert _libc.pthread_join(self.id, None) == 0
