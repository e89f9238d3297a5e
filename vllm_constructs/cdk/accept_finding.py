"""Accept a finding of the check at synth."""

from __future__ import annotations

from constructs import Construct

from vllm_constructs import require
from vllm_constructs.errors import Problem, VllmConstructsError, escaped

from .registry import app_registry


def accept_finding(scope: Construct, rule: str, *, reason: str) -> None:
    """Accept the findings of a rule in a part of an app, so that its synth does not stop or warn.

    The annotation `vllm-constructs.dev/accept-<rule>` of an object does the same for this object,
    also for `vllm-constructs check`.

    Args:
        scope: The app, a chart, a construct or an object; what is below it is accepted too.
        rule: Id of the rule, such as `P01`.
        reason: Why it is no mistake here, for those who read the app.

    Raises:
        VllmConstructsError: The scope is not a construct, no rule has that id, or the reason is
            empty.
    """
    from vllm_constructs.rules.check import every_rule

    require.instance("accept_finding scope", scope, Construct, "an App, a Chart or a construct")
    require.text("accept_finding reason", reason)
    ids = [one.id for one in every_rule()]
    if rule not in ids:
        shown = escaped(require.shown(rule))
        advice = require.nearest(rule, ids) or "vllm-constructs explain lists all of them"
        raise VllmConstructsError(
            Problem(
                where="accept_finding rule", text=f"is {shown}, which is no rule", advice=advice
            )
        )
    app_registry(scope).accepted.append((scope.node.path, rule))
