"""Compares what a client's test suite said with what it says on RabbitMQ.

    compare.py LABEL EXPECTED RESULTS

RESULTS is a folder with JUnit files (*.xml) or the output of `cargo test` (*.txt). EXPECTED has lines of two kinds:

    tests 226               how many tests run on RabbitMQ; if fewer do, the rest counts as unexpected
    may-fail PATTERN        tests, by name with * and ?, that fail on RabbitMQ too; the comment above says why

Prints one line of counts, then every unexpected failure. Ends with 1 if there is any.
"""

import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from xml.etree import ElementTree


def main(label, expected_path, results):
    tests, patterns = read_expected(Path(expected_path))
    outcomes = [outcome for path in sorted(Path(results).glob("*.xml")) for outcome in read_junit(path)]
    outcomes += [outcome for path in sorted(Path(results).glob("*.txt")) for outcome in read_cargo(path)]

    passed = sum(message is None for _, message in outcomes)
    failures = [(name, message) for name, message in outcomes if message is not None]
    unexpected = [(name, message) for name, message in failures if not listed(name, patterns)]
    missing = max(0, tests - len(outcomes))

    counts = f"{passed} passed, {len(failures)} failed, {len(unexpected) + missing} unexpected"
    print(f"{label}: {counts}" + (f" ({missing} of them did not run)" if missing else ""))
    for name, message in unexpected:
        print(f"    {name}\n        {message}")
    return 1 if unexpected or missing else 0


def read_expected(path):
    tests, patterns = 0, []
    for line in path.read_text().splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "tests":
            tests = int(rest)
        elif word == "may-fail":
            patterns.append(rest.strip())
        elif word and not word.startswith("#"):
            sys.exit(f"{path}: cannot read {line!r}")
    return tests, patterns


def listed(name, patterns):
    # fnmatch takes brackets as sets of characters; test names have them as they are.
    return any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns)


def read_junit(path):
    """Name and failure message (None: passed) of every test that was not skipped."""
    yield from cases_below(ElementTree.parse(path).getroot(), ())


def cases_below(element, suites):
    if element.tag == "testcase":
        if element.find("skipped") is not None:
            return
        # node names the classes of all its tests "test", and tells the suites by nesting; the others know classes.
        cls = element.get("classname", "")
        name = " > ".join((*(suites if cls == "test" else (cls,)), element.get("name", "")))
        wrong = next((e for e in (element.find("failure"), element.find("error")) if e is not None), None)
        yield name, None if wrong is None else first_words(wrong.get("message") or wrong.text or "failed")
        return
    # Mocha's and node's suites: their outermost has no name of interest.
    inside = (*suites, element.get("name")) if element.tag == "testsuite" and element.get("name") else suites
    for child in element:
        yield from cases_below(child, inside)


CARGO_TEST = re.compile(r"^test (\S+(?: - .*)?) \.\.\. (ok|FAILED|ignored)")
CARGO_BINARY = re.compile(r"^\s+(?:Running (?:unittests )?(\S+)|Doc-tests)")


def read_cargo(path):
    binary = ""
    for line in path.read_text(errors="replace").splitlines():
        if found := CARGO_BINARY.match(line):
            binary = found[1] or "doc"
        if (found := CARGO_TEST.match(line)) and found[2] != "ignored":
            yield f"{binary} > {found[1]}", None if found[2] == "ok" else "see the log"


def first_words(text):
    words = " ".join(text.split())
    return words if len(words) <= 300 else words[:300] + "..."


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
