from __future__ import annotations

from mlvpnd.config.problems import MAX_PROBLEMS, MAX_SHOWN_KEY, ConfigError, Problem, Report, Severity, shown, shown_key
from mlvpnd.errors import MlvpndError


def test_a_problem_names_its_place() -> None:
    assert str(Problem("f.conf", 3, "key", "wrong")) == "f.conf:3: key: wrong"
    assert str(Problem("f.conf", 3, "", "wrong")) == "f.conf:3: wrong"
    assert str(Problem("f.conf", 0, "", "wrong")) == "f.conf: wrong"
    assert str(Problem("a\nb\udcff", 0, "", "wrong")) == "a\\x0ab\\udcff: wrong"


def test_an_error_is_all_its_problems() -> None:
    problems = (Problem("f", 1, "a", "x"), Problem("f", 2, "b", "y"))
    error = ConfigError(problems)
    assert isinstance(error, MlvpndError)
    assert str(error) == "f:1: a: x\nf:2: b: y"
    assert (error.problems, error.warnings) == (problems, ())


def test_strict_moves_what_upstream_lets_pass() -> None:
    for strict, errors in ((False, ["f:1: error"]), (True, ["f:1: error", "f:2: lax"])):
        report = Report("f", strict=strict)
        report.advise(3, "", "advice")
        report.lax(2, "", "lax")
        assert report.failed is strict
        report.error(1, "", "error")
        assert report.failed
        assert list(map(str, report.errors())) == errors
        assert [str(problem) for problem in report.warnings()][-1] == "f:3: advice"
        assert len(report.errors()) + len(report.warnings()) == 3


def test_report_is_bounded() -> None:
    report = Report("f", strict=False)
    for line in range(MAX_PROBLEMS, 0, -1):
        assert report.has_room(Severity.LAX)
        report.lax(line, "", "x")
    assert not report.has_room(Severity.LAX)
    assert report.has_room(Severity.ERROR)
    assert [problem.line for problem in report.warnings()] == list(range(1, MAX_PROBLEMS + 1))
    report.lax(7, "", "x")
    report.advise(8, "", "x")
    assert str(report.warnings()[-1]) == "f: and 2 more"
    assert len(report.warnings()) == MAX_PROBLEMS + 1


def test_texts_for_messages() -> None:
    assert shown("x" * 61) == "x" * 60 + "…"
    assert shown_key("password") == "password"
    assert shown_key("passwordsecret") == "password…"
    assert shown_key("k" * MAX_SHOWN_KEY) == "k" * 24
    assert shown_key("k" * (MAX_SHOWN_KEY + 1)) == "…"
    assert (shown_key("secret", certain=False), shown_key("timeout", certain=False)) == ("…", "timeout")
