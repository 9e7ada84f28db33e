import pytest


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff in milliseconds instead of seconds."""
    monkeypatch.setattr("videopath_hf.llm.retries.FIRST_WAIT", 0.01)
