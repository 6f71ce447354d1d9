from __future__ import annotations

from mlvpnd.config import parse, rates
from mlvpnd.config.model import LinkConfig
from tests.support.linkemu import PROJECT
from tests.support.manual import source

EXAMPLES = PROJECT / "examples"


def _links(*amounts: int) -> tuple[LinkConfig, ...]:
    return tuple(LinkConfig(f"link{number}", bandwidth_upload=rate) for number, rate in enumerate(amounts))


def test_they_are_those_of_the_examples() -> None:
    texts = [path.read_text() for name in ("client", "server") for path in EXAMPLES.rglob(f"{name}.conf")]
    texts += [text for text in source("mlvpn-routing.7").split("```") if "[general]" in text]
    files = [parse(text.lstrip().encode(), "f").config for text in texts]
    assert {tuple(link.bandwidth_upload for link in config.links) for config in files} == rates.EXAMPLES
    assert all(rates.examples_of(config.links) for config in files)


def test_other_rates_are_somebody_s_own() -> None:
    assert rates.examples_of(_links(2_500_000, 1_250_000)).startswith("the rates are those of an example")
    for amounts in ((2_500_000,), (1_250_000, 2_500_000), (2_500_000, 1_250_000, 1), (), (0, 0)):
        assert rates.examples_of(_links(*amounts)) == ""
