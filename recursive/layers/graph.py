"""Named nodes joined by name, and run once."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend import Argument
from recursive.drawing import Picture, sketch
from recursive.drawing import unrolled as steps_of
from recursive.errors import DataError, NodeError, ShapeError, suggest
from recursive.layers import chain
from recursive.layers.checks import check_started
from recursive.layers.composite import Composite, layers_of
from recursive.layers.core import Identity
from recursive.layers.identity import changes, class_name, config_of
from recursive.layers.layer import Layer, Tensors
from recursive.layers.masks import check_mask
from recursive.layers.nested import NestedLoop
from recursive.layers.surface import DeclaredAsIn2015, Place
from recursive.locked import locked
from recursive.loop.call import Call, Value, Values
from recursive.loop.nodes import Env, inputs_of, run
from recursive.spec import checks
from recursive.spec.graph import (
    GraphSpec,
    InputSpec,
    LayerSpec,
    NodeSpec,
    OutputSpec,
    as_python_int,
)
from recursive.spec.names import Ref, split
from recursive.spec.plan import StepPlan, merged_outputs, source_of
from recursive.spec.reads import Merged, one_read, read_ports, read_refs
from recursive.spec.shapes import (
    Shape,
    check_rows,
    find_input_dims,
    infer,
    input_shape,
    node_shape,
)

Read = str | Sequence[str] | Merged | Mapping[str, object] | None
"""What a node reads, in every way in which it may be said."""


class Graph(DeclaredAsIn2015, Composite):
    """Named inputs, nodes and outputs, joined by name; every node is a layer, and runs once.

    Source: ``keras.layers.containers.Graph`` of Keras 0.1.

    >>> from recursive.layers.core import Dense
    >>> graph = Graph()
    >>> graph.add_input("a", dim=3)
    >>> graph.add_input("b", dim=4)
    >>> graph.add_node(Dense(6), "both", inputs=["a", "b"], create_output=True)
    >>> graph.get_output().type.shape
    (None, 6)
    """

    loop = False
    """Whether the nodes are one step of a loop over time."""
    free = False
    """Whether names may be used before they are declared."""

    def __init__(self):
        self.nodes: dict[str, Layer] = {}
        super().__init__()
        self._spec = GraphSpec(loop=self.loop)
        self._revision = 0
        self._changes_seen = changes()
        self._built_at: tuple | None = None

    # Declaration

    def add_input(
        self, name: str, ndim: int = 2, dtype: str = "float", dim: int | None = None
    ) -> None:
        """Declare an input of ``ndim`` axes, batch first.

        Args:
            name: what nodes read it by.
            ndim: its number of axes: 2 for ``(batch, dim)``, 3 for ``(batch, time, dim)``.
            dtype: ``float``, ``int`` or ``bool``.
            dim: the size of the last axis; None finds it from the layers, or from the first batch.

        Raises:
            RecursiveError: a child of it, for a bad name, ndim, dtype or dim.
        """
        self._declare(InputSpec(name, as_python_int(ndim), dtype, as_python_int(dim)))

    def add_node(
        self,
        layer: Layer,
        name: str,
        input: Read = None,
        inputs: Sequence[str] = (),
        merge_mode: str = "concat",
        create_output: bool = False,
        connection_map: Mapping[str, str] | None = None,
    ) -> None:
        """Declare a node: ``layer`` applied to what it reads.

        Args:
            layer: any layer, a container included; one that is used by two nodes shares its weights.
            name: what other nodes read it by.
            input: a name; a list of names, merged by ``merge_mode``; ``merge_sum([...])`` and its like; or, for a
                layer with several inputs, a dict of these by the layer's ports.
            inputs: the older word for a list. A string means one name.
            merge_mode: concat, sum, mul, ave, max or dot; join hands a layer with several inputs the values by name.
            create_output: True makes the node an output of the same name.
            connection_map: the older word for a dict by ports.

        Raises:
            RecursiveError: a child of it, for unknown or taken names, ports that the layer does not have, ports left
                open, no input, or an unknown merge mode.
        """
        self._add_node(
            layer,
            name,
            one_read(name, input, connection_map),
            inputs,
            merge_mode,
            create_output,
        )

    def _add_node(
        self,
        layer: Layer,
        name: str,
        input: object,
        inputs: object,
        merge_mode: str,
        create_output: bool,
        return_state: str | None = None,
    ) -> None:
        if not isinstance(layer, Layer):
            raise NodeError.about(
                "node",
                str(name),
                takes="a layer",
                because="its value is the layer's output",
                got=repr(layer),
                do="Say add_node(Dense(6), 'name', input='x'), for example.",
            )
        check_started(self)
        check_started(layer)
        if _holds(layer, self):
            raise NodeError.about(
                "node",
                str(name),
                takes="a layer that does not hold this container",
                because="it would be a part of itself",
                got=type(layer).__name__,
                do="Use copy.deepcopy for a second one like it.",
            )
        if self.loop and _has_side_outputs(layer):
            raise NodeError.about(
                "node",
                str(name),
                takes="a layer without a penalty on its output or running means",
                because="a loop hands out nothing but its results",
                got=type(layer).__name__,
                do="Use it outside of the loop.",
            )
        self._check_carried(name, layer)
        layer = _in_loop(name, layer) if self.loop else layer
        own_past = layer.own_past if self.loop else {}
        ports = read_ports(
            name, type(layer).__name__, layer.ports, own_past, input, inputs, merge_mode
        )
        spec = checks.declare(
            self._spec, NodeSpec(name, _layer_spec(layer), ports, _outputs_of(layer))
        )
        if return_state is not None:
            spec = checks.feed(spec, return_state, name)
        if create_output:
            spec = checks.declare(spec, OutputSpec(name, (Ref(name),)))
        self.nodes[name] = layer
        self._change(spec)
        self._link(name)

    def _check_carried(self, name: str, layer: Layer) -> None:
        """Raise a NodeError where states that go on from batch to batch could not: in a loop, or in two nodes."""
        if not any(part.carries for part in layers_of(layer)):
            return
        if self.loop and not (isinstance(layer, Graph) and layer.carries):
            raise NodeError.about(
                "node",
                str(name),
                takes="a stateful container by itself",
                because="its states are states of the loop",
                got=f"a {type(layer).__name__} that holds one",
                do="Make a node of each layer.",
            )
        if any(layer is other for other in self.nodes.values()):
            raise NodeError.about(
                "node",
                str(name),
                takes="a stateful layer of its own",
                because="its states can go on in one way only",
                got="one that is another node too",
                do="Use copy.deepcopy for a second layer like it.",
            )

    def add_output(
        self,
        name: str,
        input: Read = None,
        inputs: Sequence[str] = (),
        merge_mode: str = "concat",
    ) -> None:
        """Declare an output: a node's value under a name, or several merged; what it reads is said as for a node.

        Raises:
            RecursiveError: a child of it, for unknown or taken names, no input, or an unknown merge mode.
        """
        self._declare(OutputSpec(name, *read_refs(name, input, inputs, merge_mode)))

    def _declare(self, item: object) -> None:
        check_started(self)
        self._change(checks.declare(self._spec, item))
        if isinstance(item, InputSpec):
            self.__dict__.pop("_input", None)

    def _change(self, spec: GraphSpec) -> None:
        self._spec = spec
        self._revision += 1

    @property
    def revision(self) -> tuple:
        """Another one whenever something is declared or a layer is replaced, here or inside a node."""
        return (
            self._revision,
            *((layer, layer.revision) for layer in self.nodes.values()),
        )

    # What was declared

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(item.name for item in self.spec.inputs)

    @property
    def spec(self) -> GraphSpec:
        """The declaration as frozen plain data."""
        if self._changes_seen != changes():
            # Some layer has another formula than when it was declared.
            self._changes_seen = changes()
            self._spec = self._with_layers(self._spec)
        return self._spec

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs, in the order declared."""
        return tuple(output.name for output in self.spec.outputs)

    @property
    def rowwise(self) -> bool:
        """Whether every node is."""
        return all(layer.rowwise for layer in self.nodes.values())

    @property
    def input_ndim(self) -> int | None:
        """The number of axes of the input, where there is one input."""
        return self.spec.inputs[0].ndim if self.nb_input == 1 else None

    @property
    def input_dim(self) -> int | None:
        """The size of the input's last axis, where there is one input."""
        return self.spec.inputs[0].dim if self.nb_input == 1 else None

    @property
    def children(self) -> dict[str, Layer]:
        """The layer of each node."""
        return dict(self.nodes)

    @property
    def param_names(self) -> dict[str, tuple[str, ...]]:
        """The names of each node's parameters; a layer that two nodes use has one set of names."""
        found = {id(param): name for name, param in self.named_params.items()}
        return {
            node: tuple(found[id(param)] for param in layer.named_params.values())
            for node, layer in self.nodes.items()
        }

    def _link(self, node: str) -> None:
        """Link the layer of a node to what the node reads, so that its own ``get_output`` can be asked."""
        if self.loop:
            return  # inside a step there is nothing to ask

        def values(train: bool) -> Values:
            env = self._values(chain.linked_inputs(self, train), Call(train))
            [declared] = (item for item in self.spec.nodes if item.name == node)
            return inputs_of(declared, env)

        self.nodes[node].link(Place(values, lambda: self.input))

    def __setstate__(self, state: dict[str, object]) -> None:
        """Link the layers again: copies of layers have no links."""
        vars(self).update(state)
        for name in self.nodes:
            self._link(name)

    # Shapes

    @property
    def built(self) -> bool:
        """Whether the whole was checked and every node has its parameters."""
        return self._built_at == self.revision

    @locked
    def build(self, input_shape: Shape | Mapping[str, Shape] | None = None) -> None:
        """Check the whole, find every shape, and draw the parameters that are still to be drawn.

        Parameters that depend on an open dim wait until it is known, which is with the first data at the latest.

        Args:
            input_shape: shapes of the inputs, batch first, where their dims are not known from the declaration.

        Raises:
            RecursiveError: a child of it, where the graph is not complete or shapes do not fit.
        """
        spec = self._with_dims(input_shape)
        if self.built and spec == self.spec:
            return
        checks.check(spec)
        self._check_parts()
        spec = find_input_dims(spec, self.nodes)
        waiting = self._draw_params(spec)
        if waiting and input_shape is not None:
            # The last axis of whole numbers is one of steps, unless weights depend on its size.
            spec = find_input_dims(
                self._with_dims(input_shape, numbers=True), self.nodes
            )
            waiting = self._draw_params(spec)
        self.shapes = infer(spec, self.nodes)
        check_rows(spec, self.nodes, self.shapes)
        self._spec = self._with_layers(spec.replace(outputs=self._spec.outputs))
        self._built_at = None if waiting else self.revision

    def ensure_built(self, input_shape: Shape | Mapping[str, Shape]) -> None:
        """The same: what was declared since is looked at too."""
        self.build(input_shape)

    def _with_layers(self, spec: GraphSpec) -> GraphSpec:
        """The declaration with the configurations that the layers have now."""
        return spec.replace(
            nodes=tuple(
                dataclasses.replace(node, layer=_layer_spec(self.nodes[node.name]))
                for node in spec.nodes
            )
        )

    def complete(self, input_shape: Shape | Mapping[str, Shape] | None = None) -> None:
        self.build(input_shape)
        waiting = [node for node in self.spec.nodes if not self.nodes[node.name].built]
        if waiting:
            raise ShapeError.about(
                "node",
                waiting[0].name,
                takes="an input of known dim",
                because="its weights depend on it",
                got=f"{', '.join(map(str, waiting[0].refs))} of unknown dim",
                do="Say add_input(name, dim=4), Dense(4, 6), or pass data first.",
            )

    def _draw_params(self, spec: GraphSpec) -> bool:
        """Build each node's layer; True where one waits for a dim."""
        shapes = infer(spec, self.nodes)
        for node in spec.nodes:
            found = node_shape(spec, node, self.nodes, shapes)
            layer = self.nodes[node.name]
            known = all(
                shape[-1:] != (None,)
                for shape in (found.values() if isinstance(found, dict) else [found])
            )
            if layer.built:
                continue
            if known or isinstance(layer, Graph):
                layer.ensure_built(found)
            elif isinstance(layer, Composite):
                # Its first layer may not ask for the dim, as an Embedding does not; one that asks waits.
                with suppress(ShapeError):
                    layer.ensure_built(found)
        return not all(layer.built for layer in self.nodes.values())

    def _check_parts(self) -> None:
        """Raise a NodeError where a container has got other inputs or outputs since it was declared as a node."""
        for node in self.spec.nodes:
            layer = self.nodes[node.name]
            declared, found = (
                (tuple(port.name for port in node.ports), node.outputs),
                (layer.ports, _outputs_of(layer)),
            )
            if declared != found:
                raise NodeError.about(
                    "node",
                    node.name,
                    takes="a container that is complete when it is declared",
                    because="other nodes read it by its inputs and outputs",
                    got=f"{found} now, {declared} then",
                    do="Declare everything inside it first, then call add_node.",
                )

    def _with_dims(
        self,
        input_shape: Shape | Mapping[str, Shape] | None,
        numbers: bool = False,
    ) -> GraphSpec:
        """The declaration with open dims filled in from ``input_shape``, those of whole ``numbers`` only if asked."""
        if input_shape is None:
            return self.spec
        shapes = (
            input_shape
            if isinstance(input_shape, Mapping)
            else {self._only_input().name: input_shape}
        )
        self._check_input_names(shapes)
        return self.spec.replace(
            inputs=tuple(
                dataclasses.replace(
                    item, dim=item.dim or _last(item, shapes.get(item.name), numbers)
                )
                for item in self.spec.inputs
            )
        )

    def get_output_shape_for(
        self, input_shape: Shape | Mapping[str, Shape]
    ) -> Shape | dict[str, Shape]:
        spec = self._with_dims(input_shape)
        shapes = infer(spec, self.nodes)
        given = (
            input_shape
            if isinstance(input_shape, Mapping)
            else {spec.inputs[0].name: input_shape}
        )
        found = {
            output.name: self._output_shape(shapes[source_of(spec, output)], given)
            for output in spec.outputs
        }
        return chain.one_or_all(found)

    def _output_shape(self, shape: Shape, input_shapes: Mapping[str, Shape]) -> Shape:
        return shape

    # The container as a function

    def arguments(self) -> list[Argument]:
        """What a program that runs this graph is given, input by input."""
        return [
            Argument(
                item.name,
                backend.dtype_of(item.dtype),
                self._input_shape(item),
                self.limit_at(item.name),
            )
            for item in find_input_dims(self.spec, self.nodes).inputs
        ]

    def limit_at(self, port: str) -> int | None:
        """What the numbers of an input are below: the least of the limits of the nodes that read it alone."""
        limits = []
        for node in self.spec.nodes:
            for read in node.ports:
                if [ref.name for ref in read.refs] == [port]:
                    limits.append(self.nodes[node.name].limit_at(read.name))
        return min((limit for limit in limits if limit is not None), default=None)

    def _input_shape(self, item: InputSpec) -> Shape:
        return input_shape(self.spec, item)

    def _symbolic_input(self) -> Tensors:
        return chain.one_or_all(
            {
                argument.name: backend.tensor(
                    argument.name, argument.dtype, argument.shape
                )
                for argument in self.arguments()
            }
        )

    @property
    def input(self) -> Tensors:
        """The symbolic input, by name where there are several; what was left open is found first. May be assigned."""
        if self.previous is None:
            self.complete()
        return Composite.input.fget(self)

    @input.setter
    def input(self, value: Tensors) -> None:
        Composite.input.fset(self, value)

    def as_inputs(
        self,
        x: object,
        mask: TensorVariable | Mapping[str, TensorVariable] | None = None,
    ) -> dict[str, Value]:
        """A tensor, a list of tensors in the order of the inputs, or a dict by name, as values."""
        return super().as_inputs(self._by_name(x), mask)

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """Every output by name: each node in turn is applied to what it reads."""
        env = self._values(inputs, call)
        return {
            output.name: env[Ref(source_of(self.spec, output))]
            for output in self.spec.outputs
        }

    def _values(self, inputs: Values, call: Call) -> Env:
        """The values of all inputs, nodes and outputs that merge."""
        env = {Ref(name): value for name, value in self._checked(inputs).items()}
        self.check_draws(call.draws, {})
        run((*self.spec.nodes, *merged_outputs(self.spec)), self._layers(), env, call)
        return env

    def call(
        self,
        inputs: dict[str, TensorVariable],
        train: bool = False,
        **draws: TensorVariable,
    ) -> dict[str, TensorVariable]:
        """Every output by name. A class of the user's own may change it, and call this one."""
        found = super().call(inputs, train, **draws)
        return chain.by_name(self.output_names, found)

    def _checked(self, values: Values) -> dict[str, Value]:
        """The inputs in the order declared, once the container is built for them."""
        inputs = self._by_name(values)
        self.complete({name: value.tensor.type.shape for name, value in inputs.items()})
        for item in self.spec.inputs:
            _check_input(item, inputs[item.name].tensor)
            check_mask(self, item.name, inputs[item.name])
        return inputs

    def supports_masked_input(self) -> bool:
        """True: a node that takes no mask says so when it gets one."""
        return True

    def draw(
        self, path: str | os.PathLike[str] | None = None, unrolled: int | None = None
    ) -> Picture:
        """A picture of the graph. Of a loop: its step, states as feedback with their taps, and what runs outside.

        A notebook shows what is returned; it has ``svg``, ``dot`` and ``mermaid``. What is not complete is drawn as far
        as it goes, and what is missing in it is marked.

        Args:
            path: a file to write as well: .svg, .png, .dot or .mmd (Mermaid).
            unrolled: so many steps, one after the other, with the states going from step to step.

        Raises:
            ConfigError: for another ending, fewer steps than one, or steps of a graph without a loop.
            MissingPackageError: for .svg or .png without matplotlib.

        >>> from recursive.layers.cells import RecurrentDense
        >>> from recursive.models import Recurrent
        >>> rnn = Recurrent()
        >>> rnn.add_input("x", dim=4)
        >>> rnn.add_node(RecurrentDense(6), "h", input="x")
        >>> links = rnn.draw(unrolled=2).drawn.links
        >>> [f"{link.source.name} to {link.target.name}" for link in links if link.kind == "carried"]
        ['h[0] to h[1]', 'h[1] to h[2]']
        """
        if unrolled is None:
            picture = Picture(sketch(self.spec, self._drawn_plan()))
        else:
            picture = Picture(steps_of(self.spec, unrolled))
        if path is not None:
            picture.save(path)
        return picture

    def _drawn_plan(self) -> StepPlan | None:
        """The plan that says which nodes run outside the loop, where there is a loop and it is complete."""
        return None

    def draw_shape(self, name: str, input_shape: Shape | Mapping[str, Shape]) -> Shape:
        self.build(input_shape)
        return self._draw_shape(name)

    def _draw_shape(self, name: str) -> Shape:
        """The shape of a draw of one of the nodes, at one step where there is a loop."""
        name, inner = split(name)
        [node] = (node for node in self.spec.nodes if node.name == name)
        return self.nodes[name].draw_shape(
            inner, node_shape(self.spec, node, self.nodes, self.shapes)
        )

    def _layers(self) -> dict[str, Layer]:
        """The layer of each node, and of each output that merges."""
        return {
            **self.nodes,
            **{node.name: Identity() for node in merged_outputs(self.spec)},
        }

    def _by_name(self, x: object) -> dict[str, object]:
        names = [item.name for item in self.spec.inputs]
        if isinstance(x, Mapping):
            self._check_input_names(x)
            if set(x) != set(names):
                raise DataError.about(
                    "graph",
                    "input",
                    takes=f"{', '.join(names)}",
                    because="each was declared",
                    got=f"{', '.join(x)} only",
                    do="Pass the missing ones too.",
                )
            return dict(x)
        values = list(x) if isinstance(x, list | tuple) else [x]
        if len(values) != len(names):
            raise DataError.about(
                "graph",
                "input",
                takes=f"{len(names)} tensors ({', '.join(names)})",
                because="so many inputs were declared",
                got=f"{len(values)}",
                do="Pass a dict by name, or a list in that order.",
            )
        return dict(zip(names, values, strict=True))

    def _check_input_names(self, given: Mapping[str, object]) -> None:
        names = [item.name for item in self.spec.inputs]
        for name in given:
            if name not in names:
                raise DataError.about(
                    "graph",
                    "input",
                    takes=f"{', '.join(names)}",
                    because="these were declared",
                    got=repr(name),
                    do=suggest(name, names),
                )

    def _only_input(self) -> InputSpec:
        if self.nb_input != 1:
            raise DataError.about(
                "graph",
                "input",
                takes=f"{self.nb_input} inputs by name",
                because="so many were declared",
                got="one without a name",
                do="Pass a dict by name.",
            )
        return self.spec.inputs[0]

    def get_config(self) -> dict[str, object]:
        return {
            "name": class_name(type(self)),
            "spec": self._with_layers(self._spec).as_dict(),
        }

    @classmethod
    def from_spec(cls, spec: GraphSpec, layers: Mapping[str, Layer]) -> Graph:
        """The container of a whole declaration, with the layer of each node.

        Raises:
            RecursiveError: a child of it, where the declaration breaks a rule.
        """
        container = cls()
        container.nodes = {
            node.name: _in_loop(node.name, layers[node.name])
            if cls.loop
            else layers[node.name]
            for node in spec.nodes
        }
        container._change(spec)
        checks.check_whole(container.spec)
        return container


def _in_loop(name: str, layer: Layer) -> Layer:
    """What stands for ``layer`` in a loop: a container that is stateful hands its states to it."""
    return (
        NestedLoop(name, layer) if isinstance(layer, Graph) and layer.carries else layer
    )


def _outputs_of(layer: Layer) -> tuple[str, ...]:
    """The names of a layer's outputs, where there are several."""
    return layer.output_names if len(layer.output_names) > 1 else ()


def _layer_spec(layer: Layer) -> LayerSpec:
    config = config_of(layer)
    return LayerSpec(config.pop("name"), config)


def _last(item: InputSpec, shape: Shape | None, numbers: bool) -> int | None:
    """The last size of a shape, for an input whose last axis is a dim: that of ``(batch, time)`` of words is not."""
    has_dim = item.ndim > 1 and (item.dtype == "float" or numbers)
    return shape[-1] if shape and has_dim and len(shape) == item.ndim else None


def _holds(layer: Layer, container: Layer) -> bool:
    """Whether ``container`` is ``layer``, or somewhere inside it."""
    return layer is container or any(
        _holds(part, container) for part in layer.children.values()
    )


def _has_side_outputs(layer: Layer) -> bool:
    """Whether ``layer``, or one inside it, gives training more than its output."""
    return layer.has_side_outputs or any(
        _has_side_outputs(part) for part in layer.children.values()
    )


def _check_input(item: InputSpec, value: TensorVariable) -> None:
    if value.ndim != item.ndim:
        raise ShapeError.about(
            "input",
            item.name,
            takes=f"{item.ndim} axes",
            because=f"it has ndim={item.ndim}",
            got=f"a tensor of {value.ndim}",
            do="Reshape it, or declare another ndim.",
        )
    if (
        item.dim is not None
        and value.type.shape[-1] not in (None, item.dim)
        and item.ndim > 1
    ):
        raise ShapeError.about(
            "input",
            item.name,
            takes=f"{item.dim} values a row",
            because="that is its dim",
            got=str(value.type.shape[-1]),
            do="Mend the data, or declare another dim.",
        )
