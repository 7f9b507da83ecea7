"""What the constructor of a container was told, as properties of it."""

from __future__ import annotations

from collections.abc import Callable


def setting(
    name: str, checked: Callable[[str, str, object], object] | None, doc: str
) -> property:
    """A property that reads ``name`` of the declaration and, where values are ``checked``, declares it anew.

    ``checked`` is called with the name of the class, that of the setting, and the value.
    """

    def read(self: object) -> object:
        return getattr(self.spec, name)

    def write(self: object, value: object) -> None:
        self._change(
            self._spec.replace(**{name: checked(type(self).__name__, name, value)})
        )
        # The symbolic input may have a known number of steps.
        vars(self).pop("_input", None)

    return property(read, write if checked else None, doc=doc)
