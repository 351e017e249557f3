"""The differences that are wanted, as `differences.toml` has them, matched to those that are found."""

import re
import tomllib
from dataclasses import dataclass, field

_KEYS = {"script", "at", "field", "rabbitmq", "leveret", "reason", "pending", "sometimes"}


def glob(pattern):
    """A pattern in which `*` stands for any text, as a compiled expression over the whole."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


@dataclass
class Explanation:
    """One wanted difference. `pending`: it is not wanted for good. `sometimes`: it need not occur in every run."""

    scripts: list
    at: str
    field: str
    rabbitmq: str
    leveret: str
    reason: str
    pending: bool = False
    sometimes: bool = False
    # The scripts in which it was found, one of its patterns each.
    met: set = field(default_factory=set)

    def explains(self, difference):
        """Whether it explains that difference; notes that it occurred."""
        wanted = [
            (self.at, difference.at),
            (self.field, difference.field),
            (self.rabbitmq, difference.rabbitmq),
            (self.leveret, difference.leveret),
        ]
        if not all(glob(pattern).fullmatch(text) for pattern, text in wanted):
            return False
        scripts = [pattern for pattern in self.scripts if glob(pattern).fullmatch(difference.script)]
        self.met.update(scripts)
        return bool(scripts)

    def missing(self, played, everything):
        """Its script patterns that did not show it, though all scripts that they mean were played."""
        return [] if self.sometimes else [pattern for pattern in self.scripts if self._lacks(pattern, played, everything)]

    def _lacks(self, pattern, played, everything):
        meant = [name for name in everything if glob(pattern).fullmatch(name)]
        return not meant or (pattern not in self.met and played.issuperset(meant))


def load(path):
    """All explanations of the file; raises ValueError where it is not as the README says."""
    with open(path, "rb") as file:
        document = tomllib.load(file)
    return [_explanation(entry) for entry in document.get("difference", [])]


def _explanation(entry):
    if unknown := set(entry) - _KEYS:
        raise ValueError(f"unknown keys {sorted(unknown)} in {entry}")
    if missing := {"script", "field", "reason"} - set(entry):
        raise ValueError(f"no {sorted(missing)} in {entry}")
    scripts = entry["script"]
    return Explanation(
        scripts=[scripts] if isinstance(scripts, str) else scripts,
        at=entry.get("at", "*"),
        field=entry["field"],
        rabbitmq=entry.get("rabbitmq", "*"),
        leveret=entry.get("leveret", "*"),
        reason=entry["reason"],
        pending=entry.get("pending", False),
        sometimes=entry.get("sometimes", False),
    )
