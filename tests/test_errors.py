"""Errors: the one exception and the one warning."""

import warnings

import pytest

from tests import strategies
from vllm_constructs import IngressNginx, VllmConstructsError, VllmConstructsWarning
from vllm_constructs.errors import refuse


def test_error() -> None:
    """The error is a ValueError that shows its public name."""
    assert issubclass(VllmConstructsError, ValueError)
    assert VllmConstructsError.__module__ == "vllm_constructs"
    assert strategies.refusal(lambda: refuse("It is wrong.")) == "It is wrong."


def test_warning() -> None:
    """The warning is one that users see, at their own line."""
    assert issubclass(VllmConstructsWarning, UserWarning)
    assert VllmConstructsWarning.__module__ == "vllm_constructs"

    with pytest.warns(VllmConstructsWarning, match="no more security fixes") as caught:
        IngressNginx()

    assert caught[0].filename == __file__


def test_warning_as_error() -> None:
    """A user may turn the warning into an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", VllmConstructsWarning)
        with pytest.raises(VllmConstructsWarning):
            IngressNginx()
