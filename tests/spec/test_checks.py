"""The rules of a declaration, each with cases that break it and cases that keep it."""

import pytest

from recursive.errors import (
    ConfigError,
    DtypeError,
    DuplicateNameError,
    InvalidNameError,
    MergeError,
    NodeError,
    OutputError,
    RecursiveError,
    ReservedNameError,
    ShapeError,
    StateError,
    TapError,
    UnknownNameError,
    suggest,
)
from recursive.spec import checks
from recursive.spec.graph import (
    GraphSpec,
    InputSpec,
    LayerSpec,
    NodeSpec,
    PortSpec,
    StateSpec,
)
from tests.spec.building import SENTENCE, node, output, refs


def port(name, *reads):
    return PortSpec(name, refs(*reads))


LOOP = GraphSpec(
    inputs=(InputSpec("input", dim=4),),
    states=(StateSpec("h", 4, "rec"),),
    nodes=(node("i2h", "input"), node("rec", "i2h", "h", mode="sum")),
    outputs=(output("y", "i2h"),),
)
ONCE = GraphSpec(
    loop=False,
    inputs=(InputSpec("input", 2, dim=4),),
    nodes=(node("i2h", "input"),),
    outputs=(output("y", "i2h"),),
)

DECLARATIONS = [
    # rule, spec, what breaks it, error, parts of the message
    (
        "name_is_valid",
        LOOP,
        InputSpec("a b"),
        InvalidNameError,
        ["input 'a b'", "got 'a b'", "variable"],
    ),
    (
        "name_is_valid",
        LOOP,
        StateSpec("class", 4),
        InvalidNameError,
        ["state 'class'", "keyword"],
    ),
    (
        "name_is_valid",
        LOOP,
        node(None, "input"),
        InvalidNameError,
        ["node 'None'", "got None"],
    ),
    ("name_is_valid", LOOP, node(["a"], "input"), InvalidNameError, ["got ['a']"]),
    ("name_is_valid", LOOP, output("", "rec"), InvalidNameError, ["output ''"]),
    (
        "name_is_valid",
        LOOP,
        InputSpec("input_tm1"),
        ReservedNameError,
        ["'input_tm1'", "ending _tm1", "'input_1'"],
    ),
    (
        "name_is_valid",
        LOOP,
        StateSpec("h_tm0", 4),
        ReservedNameError,
        ["state 'h_tm0'", "ending _tm0"],
    ),
    (
        "name_is_valid",
        LOOP,
        node("rec_tm01", "input"),
        ReservedNameError,
        ["node 'rec_tm01'", "ending _tm01"],
    ),
    (
        "name_is_valid",
        LOOP,
        output("y_tm2", "rec"),
        ReservedNameError,
        ["output 'y_tm2'"],
    ),
    (
        "name_is_new",
        LOOP,
        InputSpec("input"),
        DuplicateNameError,
        ["input 'input'", "an existing input"],
    ),
    (
        "name_is_new",
        LOOP,
        InputSpec("h"),
        DuplicateNameError,
        ["input 'h'", "an existing state"],
    ),
    (
        "name_is_new",
        LOOP,
        StateSpec("rec", 4),
        DuplicateNameError,
        ["state 'rec'", "an existing node"],
    ),
    (
        "name_is_new",
        LOOP,
        StateSpec("y", 4),
        DuplicateNameError,
        ["state 'y'", "an existing output"],
    ),
    (
        "name_is_new",
        LOOP,
        node("input", "h"),
        DuplicateNameError,
        ["node 'input'", "an existing input"],
    ),
    (
        "name_is_new",
        LOOP,
        node("h", "input"),
        DuplicateNameError,
        ["node 'h'", "an existing state"],
    ),
    (
        "name_is_new",
        LOOP,
        node("rec", "input"),
        DuplicateNameError,
        ["node 'rec'", "an existing node"],
    ),
    (
        "name_is_new",
        LOOP,
        node("y", "input"),
        DuplicateNameError,
        ["node 'y'", "an existing output"],
    ),
    (
        "name_is_new",
        LOOP,
        output("h", "h"),
        DuplicateNameError,
        ["output 'h'", "an existing state"],
    ),
    (
        "name_is_new",
        LOOP,
        output("h", "rec"),
        DuplicateNameError,
        ["output 'h'", "an existing state"],
    ),
    (
        "name_is_new",
        LOOP,
        output("input", "input"),
        DuplicateNameError,
        ["output 'input'", "an existing input"],
    ),
    (
        "name_is_new",
        LOOP,
        output("rec", "i2h"),
        DuplicateNameError,
        ["output 'rec'", "an existing node"],
    ),
    (
        "name_is_new",
        LOOP,
        output("rec", "rec_tm1"),
        DuplicateNameError,
        ["output 'rec'", "an existing node"],
    ),
    (
        "name_is_new",
        LOOP,
        output("rec", "rec", "i2h"),
        DuplicateNameError,
        ["output 'rec'", "an existing node"],
    ),
    (
        "name_is_new",
        LOOP,
        output("y", "rec"),
        DuplicateNameError,
        ["output 'y'", "an existing output"],
    ),
    (
        "name_is_new",
        LOOP.replace(outputs=(output("rec", "rec"),)),
        output("rec", "rec"),
        DuplicateNameError,
        ["output 'rec'", "an existing output"],
    ),
    (
        "dim_is_positive",
        LOOP,
        InputSpec("x", dim=0),
        ShapeError,
        ["input 'x'", "1 or more", "got 0."],
    ),
    (
        "dim_is_positive",
        LOOP,
        InputSpec("x", dim="4"),
        ShapeError,
        ["input 'x'", "got '4'"],
    ),
    (
        "dim_is_positive",
        LOOP,
        StateSpec("c", -6),
        ShapeError,
        ["state 'c'", "got -6", "dim=6"],
    ),
    (
        "dim_is_positive",
        LOOP,
        StateSpec("c", 6.0),
        ShapeError,
        ["state 'c'", "got 6.0"],
    ),
    (
        "dim_is_positive",
        LOOP,
        StateSpec("c", True),
        ShapeError,
        ["state 'c'", "got True"],
    ),
    (
        "dim_is_positive",
        ONCE,
        InputSpec("x", 2, dim=(4,)),
        ShapeError,
        ["input 'x'", "got (4,)"],
    ),
    (
        "input_has_room_for_time",
        LOOP,
        InputSpec("x", 1),
        ShapeError,
        ["ndim of 2", "(batch, time)", "got 1."],
    ),
    (
        "input_has_room_for_time",
        LOOP,
        InputSpec("x", 2.0),
        ShapeError,
        ["ndim of 2", "got 2.0"],
    ),
    (
        "input_has_room_for_time",
        LOOP,
        InputSpec("x", None),
        ShapeError,
        ["ndim of 2", "got None"],
    ),
    (
        "input_has_room_for_time",
        ONCE,
        InputSpec("x", 0),
        ShapeError,
        ["ndim of 1", "(batch,)", "got 0."],
    ),
    (
        "input_has_room_for_time",
        ONCE,
        InputSpec("x", True),
        ShapeError,
        ["ndim of 1", "got True"],
    ),
    (
        "dtype_is_known",
        LOOP,
        InputSpec("x", dtype="flaot"),
        DtypeError,
        ["input 'x'", "float, int, bool", "'float'?"],
    ),
    (
        "dtype_is_known",
        LOOP,
        InputSpec("x", dtype=["int"]),
        DtypeError,
        ["got ['int']"],
    ),
    (
        "dtype_is_known",
        ONCE,
        InputSpec("x", dtype=None),
        DtypeError,
        ["got None", "'float', 'int', 'bool'"],
    ),
    ("something_is_read", LOOP, output("z"), OutputError, ["output 'z'", "got none"]),
    (
        "something_is_read",
        LOOP,
        node("a"),
        NodeError,
        ["node 'a'", "at least one input", "got none"],
    ),
    (
        "something_is_read",
        LOOP,
        NodeSpec("a", LayerSpec("Identity"), ()),
        NodeError,
        ["node 'a'", "got none"],
    ),
    (
        "something_is_read",
        LOOP,
        NodeSpec("a", LayerSpec("Two"), (port("a", "input"), port("b"))),
        NodeError,
        ["node 'a'", "got none"],
    ),
    (
        "merge_mode_is_known",
        LOOP,
        node("a", "input", "h", mode="add"),
        MergeError,
        ["node 'a'", "concat, sum, mul, ave, max", "got 'add'"],
    ),
    (
        "merge_mode_is_known",
        LOOP,
        node("a", "input", mode="cocnat"),
        MergeError,
        ["Did you mean 'concat'?"],
    ),
    (
        "merge_mode_is_known",
        LOOP,
        output("z", "rec", "i2h", mode=None),
        MergeError,
        ["output 'z'", "got None"],
    ),
    (
        "merge_mode_is_known",
        ONCE,
        output("z", "i2h", mode=["sum"]),
        MergeError,
        ["output 'z'", "got ['sum']"],
    ),
    (
        "names_read_are_known",
        LOOP,
        node("a", "inptu"),
        UnknownNameError,
        ["node 'a'", "got 'inptu'", "Did you mean 'input'?"],
    ),
    (
        "names_read_are_known",
        LOOP,
        node("a", "input", "rce_tm2"),
        UnknownNameError,
        ["got 'rce_tm2'", "Did you mean 'rec'?"],
    ),
    (
        "names_read_are_known",
        LOOP,
        node("a", "zzzz"),
        UnknownNameError,
        ["got 'zzzz'", "There are: 'input', 'h', 'i2h', 'rec'."],
    ),
    (
        "names_read_are_known",
        GraphSpec(),
        node("a", "x"),
        UnknownNameError,
        ["got 'x'", "There are none yet."],
    ),
    (
        "names_read_are_known",
        LOOP,
        node("a", "a"),
        UnknownNameError,
        ["node 'a'", "got 'a'"],
    ),
    (
        "names_read_are_known",
        LOOP,
        node("a", "later_tm1"),
        UnknownNameError,
        ["got 'later_tm1'"],
    ),
    (
        "names_read_are_known",
        LOOP,
        node("a", "h_tm1_tm2"),
        UnknownNameError,
        ["got 'h_tm1_tm2'"],
    ),
    (
        "names_read_are_known",
        LOOP,
        node("a", ""),
        UnknownNameError,
        ["node 'a'", "got ''"],
    ),
    (
        "names_read_are_known",
        LOOP,
        output("z", "i2k"),
        UnknownNameError,
        ["output 'z'", "Did you mean 'i2h'?"],
    ),
    (
        "names_read_are_known",
        LOOP,
        output("z", "z"),
        UnknownNameError,
        ["output 'z'", "got 'z'"],
    ),
    (
        "names_read_are_known",
        LOOP,
        node("a", "y"),
        UnknownNameError,
        ["node 'a'", "got 'y'"],
    ),
    (
        "states_are_in_a_loop",
        ONCE,
        StateSpec("c", 4),
        StateError,
        ["state 'c'", "runs once", "Recursive"],
    ),
    (
        "states_of_integers_have_one_number",
        LOOP,
        StateSpec("word", 3, dtype="int"),
        StateError,
        ["state 'word'", "no dim", "got dim=3"],
    ),
    (
        "states_of_integers_have_one_number",
        LOOP,
        StateSpec("word", initial=0.5, dtype="int"),
        StateError,
        ["state 'word'", "integers", "got 0.5", "initial=1"],
    ),
    (
        "states_of_integers_have_one_number",
        LOOP,
        StateSpec("ended", initial=2.0, dtype="bool"),
        StateError,
        ["state 'ended'", "0 or 1", "got 2.0"],
    ),
    (
        "a_dim_has_an_axis",
        LOOP,
        InputSpec("x", 2, dim=4),
        ShapeError,
        ["batch and time", "got dim=4", "ndim=3"],
    ),
    (
        "a_dim_has_an_axis",
        ONCE,
        InputSpec("x", 1, dim=4),
        ShapeError,
        ["axes are batch", "got dim=4", "ndim=2"],
    ),
    (
        "taps_are_in_a_loop",
        ONCE,
        node("a", "input_tm1"),
        TapError,
        ["node 'a'", "got 'input_tm1'", "Recursive"],
    ),
    (
        "taps_are_in_a_loop",
        ONCE,
        node("a", "input", "a_tm1"),
        TapError,
        ["node 'a'", "got 'a_tm1'"],
    ),
    (
        "taps_are_in_a_loop",
        ONCE,
        output("z", "i2h_tm2"),
        TapError,
        ["output 'z'", "got 'i2h_tm2'", "runs once"],
    ),
]

SOUND = [
    # rule, spec, what keeps it
    ("name_is_valid", LOOP, InputSpec("h_tm")),
    ("name_is_valid", LOOP, node("_1", "input")),
    ("name_is_new", LOOP, StateSpec("H", 4)),
    ("name_is_new", LOOP, output("rec", "rec")),
    ("name_is_new", ONCE, output("i2h", "i2h")),
    ("dim_is_positive", LOOP, InputSpec("x", dim=1)),
    ("dim_is_positive", LOOP, InputSpec("x", dim=None)),
    ("dim_is_positive", LOOP, StateSpec("c", 1)),
    ("input_has_room_for_time", LOOP, InputSpec("x", 2)),
    ("input_has_room_for_time", LOOP, InputSpec("x", 4)),
    ("input_has_room_for_time", ONCE, InputSpec("x", 1)),
    ("dtype_is_known", LOOP, InputSpec("x", 2, "int")),
    ("dtype_is_known", LOOP, InputSpec("x", 3, "bool")),
    ("something_is_read", LOOP, node("a", "h")),
    ("something_is_read", LOOP, output("z", "input")),
    *(
        ("merge_mode_is_known", LOOP, node("a", "input", "h", mode=mode))
        for mode in ("concat", "sum", "mul", "ave", "max")
    ),
    ("merge_mode_is_known", LOOP, output("z", "rec", "h", mode="ave")),
    (
        "names_read_are_known",
        LOOP,
        node("a", "input", "h", "rec", "h_tm2", "input_tm9", "i2h_tm1"),
    ),
    ("names_read_are_known", LOOP, node("a", "input", "a_tm1")),
    ("names_read_are_known", LOOP, output("z", "h", "rec_tm1", "input")),
    ("states_are_in_a_loop", LOOP, StateSpec("c", 4)),
    (
        "states_of_integers_have_one_number",
        LOOP,
        StateSpec("word", initial=(3.0, 1.0), dtype="int"),
    ),
    ("a_dim_has_an_axis", LOOP, InputSpec("x", 3, dim=4)),
    ("a_dim_has_an_axis", ONCE, InputSpec("x", 2, dim=4)),
    ("taps_are_in_a_loop", LOOP, node("a", "input_tm1")),
    ("taps_are_in_a_loop", ONCE, node("a", "input", "i2h")),
]

WHOLES = [
    # rule, spec that breaks it, error, parts of the message
    (
        "something_comes_in",
        LOOP.replace(inputs=()),
        NodeError,
        ["graph 'inputs'", "got none", "add_input"],
    ),
    ("something_comes_in", GraphSpec(loop=False), NodeError, ["at least one input"]),
    (
        "something_comes_out",
        LOOP.replace(outputs=()),
        OutputError,
        ["graph 'outputs'", "got none", "create_output"],
    ),
    (
        "states_are_fed_by_nodes",
        LOOP.replace(states=(StateSpec("h", 4),)),
        StateError,
        ["state 'h'", "got no node that returns it", "return_state='h'"],
    ),
    (
        "states_are_fed_by_nodes",
        LOOP.replace(states=(*LOOP.states, StateSpec("c", 4))),
        StateError,
        ["state 'c'"],
    ),
    (
        "states_are_fed_by_nodes",
        LOOP.replace(states=(StateSpec("h", 4, "rce"),)),
        UnknownNameError,
        ["state 'h'", "got 'rce'", "Did you mean 'rec'?"],
    ),
    (
        "states_are_fed_by_nodes",
        LOOP.replace(states=(StateSpec("h", 4, "input"),)),
        UnknownNameError,
        ["state 'h'", "got 'input'"],
    ),
    (
        "states_are_fed_by_nodes",
        LOOP.replace(states=(StateSpec("h", 4, "y"),)),
        UnknownNameError,
        ["got 'y'"],
    ),
    (
        "a_node_read_in_the_past_feeds_one_state",
        LOOP.replace(
            states=(*LOOP.states, StateSpec("c", 4, "rec")),
            nodes=(*LOOP.nodes, node("a", "rec_tm2")),
        ),
        TapError,
        ["node 'a'", "'rec' feeds 2 states", "got 'rec_tm2'", "Read h_tm2 or"],
    ),
    (
        "a_node_read_in_the_past_feeds_one_state",
        LOOP.replace(
            states=(StateSpec("c", 4, "rec"), *LOOP.states),
            outputs=(output("z", "i2h", "rec_tm1"),),
        ),
        TapError,
        ["output 'z'", "got 'rec_tm1'", "Read c_tm1 or"],
    ),
    (
        "free_names_are_declared",
        LOOP.replace(free=True, nodes=(*LOOP.nodes, node("a", "rce_tm1"))),
        UnknownNameError,
        ["node 'a'", "got 'rce_tm1'", "Did you mean 'rec'?"],
    ),
    (
        "free_names_are_declared",
        LOOP.replace(free=True, outputs=(output("z", "later"),)),
        UnknownNameError,
        ["output 'z'", "got 'later'"],
    ),
    (
        "contexts_have_no_past",
        LOOP.replace(
            inputs=(*LOOP.inputs, InputSpec("c", 2, is_sequence=False)),
            nodes=(*LOOP.nodes, node("a", "c_tm2")),
        ),
        TapError,
        ["node 'a'", "'c' without a tap", "got 'c_tm2'", "is_sequence=True"],
    ),
    *(
        (
            "the_number_of_steps_is_known_once",
            LOOP.replace(inputs=(), n_steps=steps),
            ConfigError,
            ["n_steps", f"got {steps!r}"],
        )
        for steps in (0, -1, True, 2.0, "3")
    ),
    (
        "the_number_of_steps_is_known_once",
        LOOP.replace(n_steps=4),
        ConfigError,
        ["n_steps=4 and input"],
    ),
    (
        "until_is_a_node",
        LOOP.replace(until="rce"),
        UnknownNameError,
        ["until", "Did you mean 'rec'?"],
    ),
    (
        "until_is_a_node",
        LOOP.replace(until="input"),
        UnknownNameError,
        ["until", "got 'input'"],
    ),
    (
        "states_start_from_contexts",
        LOOP.replace(states=(StateSpec("h", 4, "rec", "lerned"),)),
        UnknownNameError,
        ["state 'h'", "got 'lerned'", "Did you mean 'learned'?"],
    ),
    (
        "states_start_from_contexts",
        LOOP.replace(states=(StateSpec("h", 4, "rec", "input"),)),
        UnknownNameError,
        ["got 'input'", "is_sequence=False"],
    ),
    (
        "stateful_states_start_from_numbers",
        LOOP.replace(states=(StateSpec("h", 4, "rec", "learned", True),)),
        StateError,
        ["state 'h'", "takes numbers to start from", "initial='learned'"],
    ),
    (
        "stateful_states_start_from_numbers",
        LOOP.replace(states=(StateSpec("h", 4, "rec", "drawn"),), stateful=True),
        StateError,
        ["initial='drawn'", "stateful=False"],
    ),
    (
        "until_ends_a_plain_loop",
        LOOP.replace(until="rec", unroll=True),
        ConfigError,
        ["got unroll=True"],
    ),
    (
        "until_ends_a_plain_loop",
        LOOP.replace(until="rec", mask="input"),
        ConfigError,
        ["got a mask"],
    ),
    (
        "states_start_as_far_back_as_they_are_read",
        LOOP.replace(states=(StateSpec("h", 2, "rec", ((1.0, 2.0), (3.0, 4.0))),)),
        StateError,
        ["state 'h'", "takes 1 initial row,", "got 2"],
    ),
    (
        "states_start_as_far_back_as_they_are_read",
        LOOP.replace(
            states=(StateSpec("h", 2, "rec", ((1.0, 2.0), (3.0, 4.0))),),
            nodes=(*LOOP.nodes, node("a", "h_tm3")),
        ),
        StateError,
        ["takes 1 or 3 initial rows", "got 2", "oldest first"],
    ),
    (
        "states_start_from_contexts",
        LOOP.replace(
            inputs=(*LOOP.inputs, InputSpec("c", 2, "int", is_sequence=False)),
            states=(StateSpec("h", 4, "rec", "c"),),
        ),
        DtypeError,
        ["a context of floats", "got 'c' of int"],
    ),
    (
        "states_start_from_contexts",
        LOOP.replace(states=(StateSpec("h", 4, "rec", "rec"),)),
        UnknownNameError,
        ["state 'h'", "got the node 'rec', which depends on"],
    ),
    (
        "states_start_from_contexts",
        LOOP.replace(states=(StateSpec("h", 4, "rec", given="c"),)),
        UnknownNameError,
        ["state 'h'", "got 'c'"],
    ),
    (
        "optional_starts_are_read_by_states_alone",
        LOOP.replace(
            inputs=(*LOOP.inputs, InputSpec("c", 2, is_sequence=False)),
            states=(StateSpec("h", 4, "rec", given="c"),),
            nodes=(*LOOP.nodes, node("a", "c")),
        ),
        NodeError,
        ["node 'a'", "always there", "got 'c'"],
    ),
    (
        "initializations_fit_their_states",
        LOOP.replace(states=(StateSpec("h", 4, "rec", init="uniform"),)),
        StateError,
        ["state 'h'", "with initial='learned' or 'drawn' only"],
    ),
    (
        "final_states_have_unique_names",
        LOOP.replace(
            return_final_states=True, nodes=(*LOOP.nodes, node("h_final", "h"))
        ),
        DuplicateNameError,
        ["node 'h_final'", "the last value of state 'h'", "got the same"],
    ),
    *(
        (
            "the_gradient_goes_back_a_number_of_steps",
            LOOP.replace(truncate_gradient=steps),
            ConfigError,
            ["truncate_gradient", f"got {steps!r}"],
        )
        for steps in (0, -2, True, 2.0, None, 2**63)
    ),
    (
        "the_mask_is_an_input",
        LOOP.replace(mask="gone"),
        UnknownNameError,
        ["graph 'mask' takes the name of an input (batch, time)", "got 'gone'"],
    ),
]

SOUND_WHOLES = [
    (
        "states_start_from_contexts",
        LOOP.replace(
            inputs=(*LOOP.inputs, InputSpec("c", 2, is_sequence=False)),
            states=(StateSpec("h", 4, "rec", "first"),),
            nodes=(*LOOP.nodes, node("first", "c")),
        ),
    ),
    (
        "optional_starts_are_read_by_states_alone",
        LOOP.replace(
            inputs=(*LOOP.inputs, InputSpec("c", 2, is_sequence=False)),
            states=(StateSpec("h", 4, "rec", given="c"),),
            stateful=True,
        ),
    ),
    (
        "initializations_fit_their_states",
        LOOP.replace(
            states=(StateSpec("h", 4, "rec", "drawn", init="uniform", scale=0.1),)
        ),
    ),
    (
        "states_start_from_contexts",
        LOOP.replace(
            inputs=(*LOOP.inputs, InputSpec("c", 2, is_sequence=False)),
            states=(StateSpec("h", 4, "rec", "c"),),
        ),
    ),
    (
        "states_start_from_contexts",
        LOOP.replace(states=(StateSpec("h", 4, "rec", "drawn"),)),
    ),
    (
        "stateful_states_start_from_numbers",
        LOOP.replace(
            states=(StateSpec("h", 4, "rec", "learned", False),), stateful=True
        ),
    ),
    ("until_ends_a_plain_loop", LOOP.replace(until="rec")),
    (
        "free_names_are_declared",
        LOOP.replace(free=True, nodes=(node("a", "rec_tm1"), *LOOP.nodes)),
    ),
    (
        "contexts_have_no_past",
        LOOP.replace(
            inputs=(*LOOP.inputs, InputSpec("c", 2, is_sequence=False)),
            nodes=(*LOOP.nodes, node("a", "c", "input_tm2")),
        ),
    ),
    (
        "the_number_of_steps_is_known_once",
        LOOP.replace(inputs=(InputSpec("input", 2, is_sequence=False),), n_steps=4),
    ),
    ("until_is_a_node", LOOP.replace(until="rec")),
    (
        "states_start_as_far_back_as_they_are_read",
        LOOP.replace(
            states=(StateSpec("h", 2, "rec", ((1.0, 2.0), (3.0, 4.0))),),
            nodes=(*LOOP.nodes, node("a", "h_tm2")),
        ),
    ),
    (
        "final_states_have_unique_names",
        LOOP.replace(nodes=(*LOOP.nodes, node("h_final", "h"))),
    ),
    ("final_states_have_unique_names", LOOP.replace(return_final_states=True)),
    (
        "states_start_as_far_back_as_they_are_read",
        LOOP.replace(
            states=(StateSpec("h", 2, "rec", (1.0, 2.0)),),
            nodes=(*LOOP.nodes, node("a", "h_tm2")),
        ),
    ),
    ("the_gradient_goes_back_a_number_of_steps", LOOP.replace(truncate_gradient=1)),
    (
        "the_mask_is_an_input",
        LOOP.replace(inputs=(*LOOP.inputs, InputSpec("m", 2, "bool")), mask="m"),
    ),
    ("something_comes_in", LOOP),
    ("something_comes_out", ONCE),
    ("states_are_fed_by_nodes", LOOP),
    (
        "states_are_fed_by_nodes",
        LOOP.replace(states=(*LOOP.states, StateSpec("c", 4, "rec"))),
    ),
    (
        "a_node_read_in_the_past_feeds_one_state",
        LOOP.replace(nodes=(*LOOP.nodes, node("a", "rec_tm2", "i2h_tm1"))),
    ),
    (
        "a_node_read_in_the_past_feeds_one_state",
        LOOP.replace(
            states=(*LOOP.states, StateSpec("c", 4, "rec")),
            nodes=(*LOOP.nodes, node("a", "h_tm2", "rec")),
        ),
    ),
]


def raised_by(raised, rule):
    """True if the error was raised in ``rule``."""
    return rule in [entry.name for entry in raised.traceback]


@pytest.mark.parametrize(("rule", "spec", "item", "error", "parts"), DECLARATIONS)
def test_a_declaration_that_breaks_a_rule_is_refused_as_it_is_made(
    rule, spec, item, error, parts
):
    with pytest.raises(RecursiveError) as raised:
        checks.declare(spec, item)
    message = str(raised.value)
    assert type(raised.value) is error
    assert raised_by(raised, rule), message
    assert [part for part in parts if part not in message] == [], message
    sentence = SENTENCE.fullmatch(message)
    assert (sentence["kind"], sentence["name"]) == (
        type(item).__name__.removesuffix("Spec").lower(),
        str(item.name),
    )


@pytest.mark.parametrize(("rule", "spec", "item"), SOUND)
def test_a_declaration_that_keeps_the_rules_is_added_behind_the_others(
    rule, spec, item
):
    getattr(checks, rule)(spec, item)
    field = type(item).__name__.removesuffix("Spec").lower() + "s"
    before = {
        name: getattr(spec, name) for name in ("inputs", "states", "nodes", "outputs")
    }
    after = checks.declare(spec, item)
    assert {name: getattr(after, name) for name in before} == {
        **before,
        field: (*before[field], item),
    }
    assert {name: getattr(spec, name) for name in before} == before
    assert (after.loop, after.return_sequences, after.truncate_gradient) == (
        spec.loop,
        spec.return_sequences,
        spec.truncate_gradient,
    )


@pytest.mark.parametrize(("rule", "spec", "error", "parts"), WHOLES)
@pytest.mark.parametrize("apply", [checks.check, checks.check_whole])
def test_a_whole_that_breaks_a_rule_is_refused(apply, rule, spec, error, parts):
    with pytest.raises(RecursiveError) as raised:
        apply(spec)
    message = str(raised.value)
    if apply is checks.check or raised_by(raised, rule):
        assert type(raised.value) is error
        assert raised_by(raised, rule), message
        assert [part for part in parts if part not in message] == [], message
    assert SENTENCE.fullmatch(message)


@pytest.mark.parametrize(("rule", "spec"), SOUND_WHOLES)
def test_a_whole_that_keeps_the_rules_passes(rule, spec):
    getattr(checks, rule)(spec)
    checks.check(spec)
    checks.check_whole(spec)


@pytest.mark.parametrize("field", ["DECLARATION_RULES", "GRAPH_RULES"])
def test_every_rule_has_a_case_that_breaks_it_and_one_that_keeps_it(field):
    broken, sound = {
        "DECLARATION_RULES": (DECLARATIONS, SOUND),
        "GRAPH_RULES": (WHOLES, SOUND_WHOLES),
    }[field]
    rules = {rule.__name__ for rule in getattr(checks, field)}
    assert {case[0] for case in broken} == rules
    assert {case[0] for case in sound} == rules


def test_every_function_that_is_written_as_a_rule_is_applied():
    takes = {
        name: function.__code__.co_varnames[: function.__code__.co_argcount]
        for name, function in vars(checks).items()
        if getattr(function, "__module__", "") == checks.__name__
        and hasattr(function, "__code__")
        and not name.startswith("_")
    }
    used = {rule.__name__ for rule in (*checks.DECLARATION_RULES, *checks.GRAPH_RULES)}
    assert {
        name for name, names in takes.items() if names in (("spec", "item"), ("spec",))
    } - used == {"declare", "check", "check_whole"}


def test_a_spec_read_from_a_dict_is_checked_whole():
    data = LOOP.to_dict()
    checks.check_whole(GraphSpec.from_dict(data))
    data["nodes"][1]["ports"]["input"]["read"] = ["i2h", "hh"]
    with pytest.raises(
        UnknownNameError, match=r"^node 'rec' takes .* got 'hh'\. Did you mean 'h'\?"
    ):
        checks.check_whole(GraphSpec.from_dict(data))


@pytest.mark.parametrize(
    ("rule", "spec", "item", "error", "parts"),
    [case for case in DECLARATIONS if isinstance(case[2].name, str)],
)
def test_every_rule_of_a_declaration_holds_for_a_spec_that_was_not_declared_step_by_step(
    rule, spec, item, error, parts
):
    field = type(item).__name__.removesuffix("Spec").lower() + "s"
    with pytest.raises(RecursiveError):
        checks.check_whole(spec.replace(**{field: (*getattr(spec, field), item)}))


def test_nodes_of_a_file_that_come_before_what_they_read_are_refused():
    turned = LOOP.replace(nodes=LOOP.nodes[::-1])
    checks.check(turned)
    with pytest.raises(
        UnknownNameError, match=r"^node 'rec' takes .* that are declared before it"
    ):
        checks.check_whole(turned)


def test_a_node_feeds_a_state():
    spec = LOOP.replace(states=(StateSpec("c", 5), StateSpec("h", 4)))
    fed = checks.feed(spec, "h", "rec")
    assert fed.states == (StateSpec("c", 5), StateSpec("h", 4, "rec"))
    assert spec.states == (StateSpec("c", 5), StateSpec("h", 4))
    assert checks.feed(fed, "h", "rec") == fed
    assert checks.feed(fed, "c", "rec").states == (
        StateSpec("c", 5, "rec"),
        StateSpec("h", 4, "rec"),
    )


def test_a_state_is_not_fed_by_two_nodes():
    with pytest.raises(StateError) as raised:
        checks.feed(LOOP, "h", "i2h")
    sentence = SENTENCE.fullmatch(str(raised.value))
    assert (sentence["kind"], sentence["name"], sentence["got"]) == (
        "state",
        "h",
        "'rec' and 'i2h'",
    )


@pytest.mark.parametrize(
    ("state", "offer"),
    [
        ("hh", "Did you mean 'h'?"),
        ("rec", "There are: 'h'."),
        ("input", "There are: 'h'."),
        ("h_tm1", ""),
    ],
)
def test_only_a_declared_state_is_fed(state, offer):
    with pytest.raises(UnknownNameError) as raised:
        checks.feed(LOOP, state, "i2h")
    message = str(raised.value)
    assert SENTENCE.fullmatch(message)
    assert message.startswith(f"state {state!r} takes")
    assert "'i2h'" in message
    assert offer in message


@pytest.mark.parametrize("state", [None, ["h"], 3])
def test_a_state_to_feed_is_a_name(state):
    with pytest.raises(RecursiveError):
        checks.feed(LOOP, state, "i2h")


def test_what_is_known_of_a_spec_that_grew_is_what_a_spec_made_at_once_knows():
    grown = GraphSpec()
    for item in (
        InputSpec("x"),
        StateSpec("h", 4),
        StateSpec("c", 4),
        node("a", "x"),
        output("a", "a"),
        node("b", "h", "a"),
        output("y", "b"),
        StateSpec("late", 4),
    ):
        grown = checks.declare(grown, item)
    for state, name in (("c", "b"), ("late", "a"), ("h", "b")):
        assert grown.names == grown.replace().names
        grown = checks.feed(grown, state, name)
    assert (
        grown.names
        == grown.replace().names
        == {
            "x": "input",
            "h": "state",
            "c": "state",
            "a": "node",
            "b": "node",
            "y": "output",
            "late": "state",
        }
    )
    assert grown.feeds == grown.replace().feeds == {"b": ("h", "c"), "a": ("late",)}


@pytest.mark.parametrize(
    ("name", "candidates", "sentence"),
    [
        ("inptu", ["h", "input", "output"], "Did you mean 'input'?"),
        ("hidden1", ["hidden2", "h"], "Did you mean 'hidden2'?"),
        ("zzz", ["input", "h", "input"], "There are: 'input', 'h'."),
        ("zzz", [], "There are none yet."),
        ("zzz", (name for name in ("a", "b")), "There are: 'a', 'b'."),
        ("it's", ["it's not"], """Did you mean "it's not"?"""),
    ],
)
def test_the_nearest_name_is_offered_or_all_of_them(name, candidates, sentence):
    assert suggest(name, candidates) == sentence


# Weird, but plausible


def test_a_state_may_be_read_three_steps_back_only():
    spec = LOOP.replace(
        nodes=(node("i2h", "input"), node("rec", "i2h", "h_tm3", mode="sum"))
    )
    checks.check_whole(spec)


def test_a_node_may_feed_two_states_that_are_read_by_their_own_names():
    checks.check_whole(
        LOOP.replace(
            states=(StateSpec("h", 4, "rec"), StateSpec("c", 4, "rec")),
            nodes=(node("i2h", "input"), node("rec", "h_tm2", "c", "i2h", mode="sum")),
        )
    )


def test_a_node_may_read_nothing_but_its_own_past():
    checks.check_whole(LOOP.replace(nodes=(*LOOP.nodes, node("clock", "clock_tm1"))))


def test_an_output_may_read_inputs_and_states():
    outputs = (
        output("a", "input"),
        output("b", "h"),
        output("c", "h_tm3", "input_tm1"),
    )
    checks.check_whole(LOOP.replace(outputs=outputs))


def test_a_graph_without_nodes_passes_its_input_on():
    checks.check_whole(GraphSpec(inputs=(InputSpec("x"),), outputs=(output("y", "x"),)))


OPEN = {
    "a node that reads an output": lambda: checks.declare(LOOP, node("a", "y")),
    "an output that reads an output": lambda: checks.declare(LOOP, output("z", "y")),
    "an output that reads its own past": lambda: checks.declare(
        LOOP, output("z", "z_tm1")
    ),
    "the past of an output": lambda: checks.declare(LOOP, node("a", "y_tm1")),
    "a state without a loop": lambda: checks.check_whole(
        ONCE.replace(
            states=(StateSpec("h", 4, "i2h"),),
            nodes=(node("i2h", "input", "h", mode="sum"),),
        )
    ),
    "a dim of an input whose axes are batch and time": lambda: checks.declare(
        LOOP, InputSpec("x", 2, dim=4)
    ),
    "a dim of an input whose axis is batch": lambda: checks.declare(
        ONCE, InputSpec("x", 1, dim=4)
    ),
    "a gradient over no steps": lambda: checks.check_whole(
        LOOP.replace(truncate_gradient=0)
    ),
}


@pytest.mark.parametrize("declaration", OPEN.values(), ids=OPEN)
def test_what_could_never_run_is_refused(declaration):
    with pytest.raises(RecursiveError):
        declaration()


# Names that a node and a state share, and what to say of them


def free(*items):
    spec = GraphSpec(loop=True, free=True)
    for item in (InputSpec("x", dim=4), *items):
        spec = checks.declare(spec, item)
    return spec


@pytest.mark.parametrize("state", [StateSpec("h", 6), StateSpec("h", 6, "h")])
@pytest.mark.parametrize("first", ["node", "state"])
def test_a_node_feeds_the_state_of_its_name_in_whatever_order_they_come(first, state):
    items = [node("h", "x", "h_tm1"), state]
    spec = free(*(items if first == "node" else reversed(items)))
    assert spec.states == (StateSpec("h", 6, "h"),)
    assert spec.names["h"] == "node"
    checks.check(spec)


@pytest.mark.parametrize(
    "items",
    [
        [node("h", "x"), StateSpec("h", 6, "other")],
        [StateSpec("h", 6, "other"), node("h", "x")],
        [node("h", "x"), StateSpec("h"), StateSpec("h")],
        [StateSpec("h"), node("h", "x"), node("h", "x")],
        [StateSpec("x")],
    ],
)
def test_other_names_are_still_taken_once(items):
    with pytest.raises(DuplicateNameError):
        free(*items)


def test_a_node_and_a_state_have_names_of_their_own_where_names_are_not_free():
    spec = checks.declare(GraphSpec(loop=True), InputSpec("x", dim=4))
    spec = checks.declare(spec, node("h", "x"))
    with pytest.raises(DuplicateNameError):
        checks.declare(spec, StateSpec("h", 6))


def with_cell(*states):
    """A node of two outputs, the first of which feeds a state."""
    lstm = NodeSpec(
        "a", LayerSpec("RecurrentLSTM", {}), (port("input", "x"),), ("output", "cell")
    )
    return GraphSpec(
        loop=True,
        inputs=(InputSpec("x", dim=4),),
        states=(StateSpec("h", 6, "a"), *states),
        nodes=(lstm,),
        outputs=(output("y", "a"),),
    )


def test_a_state_is_to_be_fed_by_the_output_that_feeds_none():
    with pytest.raises(StateError) as raised:
        checks.check(with_cell(StateSpec("c", 6)))
    assert str(raised.value).endswith("Say add_state('c', input='a.cell').")
    checks.check(with_cell(StateSpec("c", 6, "a.cell")))


def test_a_state_is_to_be_returned_where_no_output_is_left():
    spec = with_cell(StateSpec("c", 6, "a.cell"), StateSpec("d", 6))
    with pytest.raises(StateError, match="Say return_state='d'"):
        checks.check(spec)
