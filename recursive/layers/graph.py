"""A graph of named layers that runs once.

A Graph is declared with ``add_input``, ``add_node`` and ``add_output``. Each of them
adds one frozen record to a :class:`~recursive.spec.graph.GraphSpec`, and is checked
there: names, ports, merges. Layers are kept by node name in ``nodes``.

Building completes the declaration. Open dims are filled in from the layers that read
an input or from the shape of the data, shapes are inferred node by node, and each layer
draws its parameters as soon as the dims that it reads are known. Running applies the
nodes in the order declared, from named values to named values.

:class:`~recursive.layers.recursive.Recursive` repeats the same nodes over time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend import Argument
from recursive.drawing import Picture, sketch
from recursive.drawing import unrolled as steps_of
from recursive.errors import ShapeError
from recursive.layers import chain
from recursive.layers.checks import check_started
from recursive.layers.composite import Composite
from recursive.layers.core import Identity
from recursive.layers.identity import changes, class_name
from recursive.layers.inputs import (
    check_input,
    match_inputs,
    shapes_by_name,
    with_dims,
)
from recursive.layers.layer import Layer, Tensors
from recursive.layers.masks import check_mask
from recursive.layers.nodes import (
    check_node,
    check_unchanged,
    draw_shape,
    layer_spec,
    node_in_loop,
    output_names,
    with_current_layers,
)
from recursive.layers.surface import DeclaredAsIn2015, Place
from recursive.locked import locked
from recursive.loop.call import Call, Value, Values
from recursive.loop.nodes import Env, inputs_of, run
from recursive.spec import checks
from recursive.spec.graph import (
    GraphSpec,
    InputSpec,
    NodeSpec,
    OutputSpec,
    as_python_int,
)
from recursive.spec.names import Ref
from recursive.spec.plan import StepPlan, merged_outputs, source_of
from recursive.spec.reads import Merged, one_read, read_ports, read_refs
from recursive.spec.shapes import (
    Shape,
    ShapeRule,
    check_rows,
    find_input_dims,
    infer,
    input_shape,
    node_shape,
)

Read = str | Sequence[str] | Merged | Mapping[str, object] | None
"""The ``input`` of a node: a name, names, a merge of names, or these by port."""


class Graph(DeclaredAsIn2015, Composite):
    """A graph of named inputs, nodes and outputs; each node is a layer that runs once.

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
    """True if the nodes are one step of a loop over time."""
    free = False
    """True if names may be used before they are declared."""

    def __init__(self):
        self.nodes: dict[str, Layer] = {}
        super().__init__()
        self._spec = GraphSpec(loop=self.loop)
        # A revision counts declarations. The graph is built if its revision is still
        # the one that was built.
        self._revision = 0
        self._built_at: tuple | None = None
        self._changes_seen = changes()

    # Declaration

    def add_input(
        self, name: str, ndim: int = 2, dtype: str = "float", dim: int | None = None
    ) -> None:
        """Declare an input of ``ndim`` axes, batch first.

        Args:
            name: the name by which nodes read it.
            ndim: 2 for ``(batch, dim)``, 3 for ``(batch, time, dim)``.
            dtype: ``float``, ``int`` or ``bool``.
            dim: the size of the last axis; None takes it from the layers that read the
                input, or from the first batch.

        Raises:
            RecursiveError: a subclass of it, for an invalid name, ndim, dtype or dim.
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
        """Declare a node: ``layer`` applied to the values it reads.

        Args:
            layer: any layer or container. A layer that two nodes use shares its
                weights.
            name: the name by which other nodes read it.
            input: a name; a list of names, merged by ``merge_mode``;
                ``merge_sum([...])`` and the like; or, for a layer with several inputs,
                a dict of these by port.
            inputs: the older name for a list. A string is one name.
            merge_mode: concat, sum, mul, ave, max or dot; join passes the values to a
                layer with several inputs by name.
            create_output: True also declares an output of the same name.
            connection_map: the older name for a dict by port.

        Raises:
            RecursiveError: a subclass of it, for unknown or taken names, unknown or
                open ports, no input, or an unknown merge mode.
        """
        read = one_read(name, input, connection_map)
        self._add_node(layer, name, read, inputs, merge_mode, create_output)

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
        check_started(self)
        check_node(self, name, layer)
        own_past: Mapping[str, str] = {}
        if self.loop:
            layer = node_in_loop(name, layer)
            own_past = layer.own_past
        kind = type(layer).__name__
        ports = read_ports(
            name,
            kind,
            layer.ports,
            own_past,
            input,
            inputs,
            merge_mode,
            layer.optional_ports,
        )
        node = NodeSpec(name, layer_spec(layer), ports, output_names(layer))
        spec = checks.declare(self._spec, node)
        if return_state is not None:
            spec = checks.feed(spec, return_state, name)
        if create_output:
            spec = checks.declare(spec, OutputSpec(name, (Ref(name),)))
        # Every check has passed: a refused declaration leaves the graph unchanged.
        self.nodes[name] = layer
        self._change(spec)
        self._link(name)

    def add_output(
        self,
        name: str,
        input: Read = None,
        inputs: Sequence[str] = (),
        merge_mode: str = "concat",
    ) -> None:
        """Declare an output: one value under another name, or several merged.

        ``input``, ``inputs`` and ``merge_mode`` are those of :meth:`add_node`.

        Raises:
            RecursiveError: a subclass of it, for unknown or taken names, no input, or
                an unknown merge mode.
        """
        self._declare(OutputSpec(name, *read_refs(name, input, inputs, merge_mode)))

    def _declare(self, item: object) -> None:
        check_started(self)
        self._change(checks.declare(self._spec, item))
        if isinstance(item, InputSpec):
            # The symbolic input is created again, with the new one.
            vars(self).pop("_input", None)

    def _change(self, spec: GraphSpec) -> None:
        self._spec = spec
        self._revision += 1

    @property
    def revision(self) -> tuple:
        """A value that changes with every declaration, here or in a layer inside."""
        layers = ((layer, layer.revision) for layer in self.nodes.values())
        return (self._revision, *layers)

    # The declaration

    @property
    def spec(self) -> GraphSpec:
        """The declaration as frozen plain data."""
        seen = changes()
        if self._changes_seen != seen:
            # A layer's formula was replaced since it was declared, e.g. its activation.
            self._spec = with_current_layers(self._spec, self.nodes)
            self._changes_seen = seen  # last: until then, other threads do it too
        return self._spec

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(item.name for item in self.spec.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs, in the order declared."""
        return tuple(output.name for output in self.spec.outputs)

    @property
    def children(self) -> dict[str, Layer]:
        """The layer of each node."""
        return dict(self.nodes)

    @property
    def rowwise(self) -> bool:
        """True if every node is rowwise."""
        return all(layer.rowwise for layer in self.nodes.values())

    @property
    def input_ndim(self) -> int | None:
        """The number of axes of the input; None if there are several inputs."""
        return self.spec.inputs[0].ndim if self.nb_input == 1 else None

    @property
    def input_dim(self) -> int | None:
        """The size of the input's last axis; None if unknown, or for several inputs."""
        return self.spec.inputs[0].dim if self.nb_input == 1 else None

    def limit_at(self, port: str) -> int | None:
        """The bound below which the integers of an input must lie.

        It is the smallest bound among the nodes that read nothing but this input.
        """
        limits = []
        for node in self.spec.nodes:
            layer = self.nodes[node.name]
            for read in node.ports:
                if [ref.name for ref in read.refs] == [port]:
                    limits.append(layer.limit_at(read.name))
        known = [limit for limit in limits if limit is not None]
        return min(known, default=None)

    def mask_value_at(self, port: str) -> float | None:
        """The value that every node that reads the input masks.

        None if a node or an output reads the input and does not mask it, or masks
        another value.
        """
        if self.loop:
            return None  # a node sees one step, which it cannot mask
        values = []
        for output in self.spec.outputs:
            if port in (ref.name for ref in output.refs):
                values.append(None)
        for node in self.spec.nodes:
            layer = self.nodes[node.name]
            for read in node.ports:
                names = [ref.name for ref in read.refs]
                if port in names:
                    is_alone = len(names) == 1
                    value = layer.mask_value_at(read.name) if is_alone else None
                    values.append(value)
        # Compared as text, because NaN does not equal itself.
        is_one_value = None not in values and len(set(map(str, values))) == 1
        return values[0] if is_one_value else None

    @property
    def param_names(self) -> dict[str, tuple[str, ...]]:
        """The names of each node's parameters; nodes with one layer share the names."""
        # A shared parameter has one name: that in the first node that has it.
        found = {id(param): name for name, param in self.named_params.items()}
        names = {}
        for node, layer in self.nodes.items():
            params = layer.named_params.values()
            names[node] = tuple(found[id(param)] for param in params)
        return names

    # Links between nodes, as layers of 2015 had them

    def _link(self, node: str) -> None:
        """Let ``get_output()`` of a node's layer compute what the node reads."""
        if self.loop:
            return  # a node of a loop has no value outside its step

        def values(train: bool) -> Values:
            env = self._values(chain.linked_inputs(self, train), Call(train))
            [declared] = (item for item in self.spec.nodes if item.name == node)
            return inputs_of(declared, env)

        self.nodes[node].link(Place(values, lambda: self.input))

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore the links, which copies of layers do not have."""
        vars(self).update(state)
        for name in self.nodes:
            self._link(name)

    # Building

    @property
    def built(self) -> bool:
        """True if the current declaration is checked and every node has parameters."""
        return self._built_at == self.revision

    @locked
    def build(self, input_shape: Shape | Mapping[str, Shape] | None = None) -> None:
        """Check the declaration, infer every shape and draw the missing parameters.

        Parameters whose shape depends on an open dim are drawn once it is known, which
        is with the first data at the latest.

        Args:
            input_shape: shapes of the inputs, batch first, for dims that the
                declaration leaves open.

        Raises:
            RecursiveError: a subclass of it, if the declaration is not complete or
                shapes do not fit.
        """
        spec = with_dims(self.spec, input_shape)
        if self.built and spec == self.spec:
            return
        checks.check(spec)
        check_unchanged(spec, self.nodes)
        spec = find_input_dims(spec, self.nodes)
        complete = _build_layers(spec, self.nodes)
        if not complete and input_shape is not None:
            # The last axis of integers is time, (batch, time), or a dim,
            # (batch, time, dim). It is a dim only if weights wait for its size.
            spec = with_dims(self.spec, input_shape, integers=True)
            spec = find_input_dims(spec, self.nodes)
            complete = _build_layers(spec, self.nodes)
        self.shapes = infer(spec, self.nodes)
        check_rows(spec, self.nodes, self.shapes)
        # The outputs stay as declared: `spec` may have the one that Recurrent implies.
        spec = spec.replace(outputs=self._spec.outputs)
        self._spec = with_current_layers(spec, self.nodes)
        self._built_at = self.revision if complete else None

    def ensure_built(self, input_shape: Shape | Mapping[str, Shape]) -> None:
        """The same as ``build``, which also sees later declarations."""
        self.build(input_shape)

    def complete(self, input_shape: Shape | Mapping[str, Shape] | None = None) -> None:
        self.build(input_shape)
        for node in self.spec.nodes:
            if not self.nodes[node.name].built:
                raise ShapeError.about(
                    "node",
                    node.name,
                    takes="an input of known dim",
                    because="the shape of its weights depends on it",
                    got=f"{', '.join(map(str, node.refs))} of unknown dim",
                    do="Say add_input(name, dim=4), Dense(4, 6), or pass data first.",
                )

    def get_output_shape_for(
        self, input_shape: Shape | Mapping[str, Shape]
    ) -> Shape | dict[str, Shape]:
        return self._shapes_for(input_shape, self.nodes)

    def get_target_shape_for(
        self, input_shape: Shape | Mapping[str, Shape]
    ) -> Shape | dict[str, Shape]:
        rules = {name: TargetShapes(layer) for name, layer in self.nodes.items()}
        return self._shapes_for(input_shape, rules)

    def _shapes_for(
        self,
        input_shape: Shape | Mapping[str, Shape],
        rules: Mapping[str, ShapeRule],
    ) -> Shape | dict[str, Shape]:
        """The shapes of the outputs, by the rules of the nodes."""
        spec = with_dims(self.spec, input_shape)
        shapes = infer(spec, rules)
        given = shapes_by_name(spec, input_shape)
        found = {}
        for output in spec.outputs:
            shape = shapes[source_of(spec, output)]
            found[output.name] = self._output_shape(shape, given)
        return chain.one_or_all(found)

    def _output_shape(self, shape: Shape, input_shapes: Mapping[str, Shape]) -> Shape:
        """The shape of an output, from its shape at one step."""
        return shape

    # The container as a function

    def arguments(self) -> list[Argument]:
        """The arguments of a program that runs this graph: one for each input."""
        arguments = []
        for item in find_input_dims(self.spec, self.nodes).inputs:
            dtype = backend.dtype_of(item.dtype)
            limit = self.limit_at(item.name)
            shape = self._input_shape(item)
            arguments.append(Argument(item.name, dtype, shape, limit))
        return arguments

    def _input_shape(self, item: InputSpec) -> Shape:
        return input_shape(self.spec, item)

    def _symbolic_input(self) -> Tensors:
        tensors = {}
        for item in self.arguments():
            tensors[item.name] = backend.tensor(item.name, item.dtype, item.shape)
        return chain.one_or_all(tensors)

    @property
    def input(self) -> Tensors:
        """The symbolic input, by name if there are several; may be assigned."""
        if self.previous is None:
            self.complete()  # it finds the dims of the symbols
        return super().input

    @input.setter
    def input(self, value: Tensors) -> None:
        self._input = value

    def as_inputs(
        self,
        x: object,
        mask: TensorVariable | Mapping[str, TensorVariable] | None = None,
    ) -> dict[str, Value]:
        """``x`` as named values: a tensor, a list in declared order, or a dict."""
        return super().as_inputs(match_inputs(self.spec, x), mask)

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """Every output by name: the nodes are applied in the order declared."""
        env = self._values(inputs, call)
        outputs = {}
        for output in self.spec.outputs:
            outputs[output.name] = env[Ref(source_of(self.spec, output))]
        return outputs

    def _values(self, inputs: Values, call: Call) -> Env:
        """The values of all inputs, nodes and merged outputs."""
        env = {Ref(name): value for name, value in self._checked(inputs).items()}
        self.check_draws(call.draws, {})
        # An output of several values merges them: it runs as one more node.
        nodes = (*self.spec.nodes, *merged_outputs(self.spec))
        run(nodes, self._layers(), env, call)
        return env

    def call(
        self,
        inputs: dict[str, TensorVariable],
        train: bool = False,
        **draws: TensorVariable,
    ) -> dict[str, TensorVariable]:
        """Every output by name. A subclass may override it and call ``super()``."""
        found = super().call(inputs, train, **draws)
        return chain.by_name(self.output_names, found)

    def _checked(self, values: Values) -> dict[str, Value]:
        """The inputs in declared order, after the container is built for them."""
        inputs = match_inputs(self.spec, values)
        self.complete({name: value.tensor.type.shape for name, value in inputs.items()})
        for item in self.spec.inputs:
            if item.name in inputs:  # an optional start may be left out
                check_input(item, inputs[item.name].tensor)
                check_mask(self, item.name, inputs[item.name])
        return inputs

    def _layers(self) -> dict[str, Layer]:
        """The layer of each node; outputs that merge are nodes with an Identity."""
        merged = {node.name: Identity() for node in merged_outputs(self.spec)}
        return {**self.nodes, **merged}

    def supports_masked_input(self) -> bool:
        """True: a node that takes no mask raises an error when it gets one."""
        return True

    def draw_shape(self, name: str, input_shape: Shape | Mapping[str, Shape]) -> Shape:
        self.build(input_shape)
        return draw_shape(name, self.spec, self.nodes, self.shapes)

    # Diagrams and configurations

    def draw(
        self, path: str | os.PathLike[str] | None = None, unrolled: int | None = None
    ) -> Picture:
        """The diagram of the graph.

        That of a loop shows one step: states with their taps as feedback, and the nodes
        that run outside the loop. A notebook displays the diagram; its ``svg``, ``dot``
        and ``mermaid`` are text. An incomplete graph is drawn too, with marks on what
        is missing.

        Args:
            path: a file to write as well: .svg, .png, .dot or .mmd (Mermaid).
            unrolled: the number of steps to draw one after the other, with states
                passed from step to step.

        Raises:
            ConfigError: for another file type, less than one step, or steps of a graph
                without a loop.
            MissingPackageError: for .svg or .png without matplotlib.

        >>> from recursive.layers.cells import RecurrentDense
        >>> from recursive.models import Recurrent
        >>> rnn = Recurrent()
        >>> rnn.add_input("x", dim=4)
        >>> rnn.add_node(RecurrentDense(6), "h", input="x")
        >>> links = rnn.draw(unrolled=2).drawn.links
        >>> carried = [link for link in links if link.kind == "carried"]
        >>> [(link.source.name, link.target.name) for link in carried]
        [('h[0]', 'h[1]'), ('h[1]', 'h[2]')]
        """
        if unrolled is None:
            picture = Picture(sketch(self.spec, self._plan_for_diagram()))
        else:
            picture = Picture(steps_of(self.spec, unrolled))
        if path is not None:
            picture.save(path)
        return picture

    def _plan_for_diagram(self) -> StepPlan | None:
        """The plan of the loop; None if there is no loop, or it is not complete."""
        return None

    def get_config(self) -> dict[str, object]:
        spec = with_current_layers(self._spec, self.nodes)
        return {"name": class_name(type(self)), "spec": spec.as_dict()}

    @classmethod
    def from_spec(cls, spec: GraphSpec, layers: Mapping[str, Layer]) -> Graph:
        """The container of a whole declaration, with the layer of each node.

        Raises:
            RecursiveError: a subclass of it, if the declaration breaks a rule.
        """
        container = cls()
        # The whole is checked at the end: in a free graph names may precede
        # declarations.
        for node in spec.nodes:
            layer = layers[node.name]
            if cls.loop:
                layer = node_in_loop(node.name, layer)
            container.nodes[node.name] = layer
        container._change(spec)
        checks.check_whole(container.spec)
        return container


def _build_layers(spec: GraphSpec, layers: Mapping[str, Layer]) -> bool:
    """Build each layer whose input dims are known; True if all of them are built now.

    Layers are built, and so draw their weights, in the order in which they were
    declared.
    """
    shapes = infer(spec, layers)
    for node in spec.nodes:
        shape = node_shape(spec, node, layers, shapes)
        layer = layers[node.name]
        if not layer.built:
            _build_layer(layer, shape)
    return all(layer.built for layer in layers.values())


def _build_layer(layer: Layer, shape: Shape | dict[str, Shape]) -> None:
    """Build ``layer`` if the dim of ``shape``, or of each shape by port, is known.

    No weights depend on an optional port.
    """
    shapes = [shape]
    if isinstance(shape, dict):
        shapes = [
            one for port, one in shape.items() if port not in layer.optional_ports
        ]
    dims_are_known = all(one[-1:] != (None,) for one in shapes)
    # A Graph builds the nodes that it can and waits with the others.
    if dims_are_known or isinstance(layer, Graph):
        layer.ensure_built(shape)
    elif isinstance(layer, Composite):
        # An Embedding that comes first needs no dim; a first layer that does waits.
        with suppress(ShapeError):
            layer.ensure_built(shape)


class TargetShapes:
    """The shape rule of a layer whose output a loss compares with targets."""

    def __init__(self, layer: Layer):
        self._layer = layer

    @property
    def input_dim(self) -> int | None:
        """The dim that the layer was built for."""
        return self._layer.input_dim

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        """The shape of the layer's targets."""
        return self._layer.get_target_shape_for(input_shape)
