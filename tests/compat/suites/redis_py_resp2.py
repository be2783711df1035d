"""The same in RESP2."""

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location("redis_py", Path(__file__).with_name("redis_py.py"))
_base = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_base)

title = "redis-py, its own suite (RESP2, sync and asyncio)"
prepare = _base.prepare


def cases(place):
    return _base.cases(place, protocol=2)
