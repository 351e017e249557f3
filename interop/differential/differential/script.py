"""How scripts are declared, and how they are found."""

import importlib
import inspect
import pkgutil
from dataclasses import dataclass

SCRIPTS = []


@dataclass(frozen=True)
class Script:
    """A function that plays with a session. A generator restarts the broker where it yields."""

    name: str
    play: object
    description: str
    slow: bool
    alone: bool
    defined: bool
    controls: bool

    @property
    def restarts(self):
        return inspect.isgeneratorfunction(self.play)


def script(play=None, *, slow=False, alone=False, defined=False, controls=False):
    """Declares a script; its docstring says in one line what is right. `slow`: it takes more than ten seconds.
    `alone`: no other script may run meanwhile. `defined`: it needs what `definitions.json` defines. `controls`: it
    does something by the brokers' control commands."""

    def declare(play):
        description = (play.__doc__ or "").strip()
        if not description:
            raise ValueError(f"{play.__name__} has no description")
        name = f"{play.__module__.rpartition('.')[2]}.{play.__name__}"
        SCRIPTS.append(Script(name, play, description, slow, alone, defined, controls))
        return play

    return declare(play) if play else declare


def load(package):
    """Imports every module of the package; returns all scripts by name."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
    names = [script.name for script in SCRIPTS]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"scripts declared twice: {sorted(twice)}")
    return sorted(SCRIPTS, key=lambda script: script.name)
