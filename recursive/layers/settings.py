"""Constructor arguments of a container as properties."""

from __future__ import annotations

from collections.abc import Callable


def setting(
    name: str, checked: Callable[[str, str, object], object] | None, doc: str
) -> property:
    """A property for the attribute ``name`` of the container's declaration.

    Args:
        name: the name of the attribute.
        checked: checks a new value, given the class name, ``name`` and the value, and
            returns it; None for a property that cannot be assigned.
        doc: the docstring of the property.
    """

    def read(self: object) -> object:
        return getattr(self.spec, name)

    def write(self: object, value: object) -> None:
        checked_value = checked(type(self).__name__, name, value)
        self._change(self._spec.replace(**{name: checked_value}))
        # The type of the symbolic input may depend on the number of steps.
        vars(self).pop("_input", None)

    return property(read, write if checked else None, doc=doc)
