"""Another capability, called by its id. Needs `call` permissions; it runs at its own grant narrowed by the caller's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from metier.effects.door import Context, EffectError, Operation
from metier.sandbox.box import Budget


def call(context: Context, budget: Budget, asked: Mapping[str, Any]) -> Any:
    capability = asked.get("capability")
    if not isinstance(capability, str):
        raise EffectError("invalid", "capability must be an id")
    if context.call is None or not context.grant.allows_call(capability):
        raise EffectError("denied", f"calling {capability} is not allowed")
    if context.depth + 1 >= context.limits.call_depth:
        raise EffectError("too_deep", f"calls are nested deeper than {context.limits.call_depth}")
    return context.call(context, budget, capability, asked.get("input"))


OPERATIONS: Final[dict[str, Operation]] = {"call": call}
