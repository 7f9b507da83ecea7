"""Generation of words with a decoder, step by step: beam search.

A decoder gives the probability of each next word. :func:`generate` runs it one step at
a time, chooses words, and feeds each chosen word to the next step. It keeps the best
``beams`` beginnings of each row: *beams*. At each step every beam is continued with
every word, and the best of all continuations are the beams of the next step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from numbers import Real
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend import Argument, Program
from recursive.backend.arrays import as_array
from recursive.backend.choose import resolve_backend
from recursive.errors import (
    ConfigError,
    DataError,
    DtypeError,
    ShapeError,
    UnknownNameError,
    suggest,
)
from recursive.layers.recursive import Recursive
from recursive.locked import locked
from recursive.loop.call import Call, Value
from recursive.spec.graph import InputSpec, OutputSpec, StateSpec
from recursive.spec.names import Ref
from recursive.spec.plan import Recurrence, declared
from recursive.spec.starts import optional_starts, with_starts
from recursive.training import data
from recursive.training.programs import why_not_jax
from recursive.utils.arguments import count

Arrays = Mapping[str, np.ndarray]


class Generated(NamedTuple):
    """What was generated, the best beam of each row first.

    Args:
        words: the numbers of the words, ``(batch, beams, time)``, without the start
            symbol. After the end symbol of a beam they are the end symbol.
        lengths: the number of words of each beam, ``(batch, beams)``, the end symbol
            included.
        log_probabilities: the logarithm of the probability of each beam, ``(batch,
            beams)``: the sum over its words, without the length penalty. It is -inf
            where fewer sequences than beams have a probability above 0.
        ended: False for a beam without an end symbol, which was cut off at the limit,
            ``(batch, beams)``.
    """

    words: np.ndarray
    lengths: np.ndarray
    log_probabilities: np.ndarray
    ended: np.ndarray


@locked
def generate(
    decoder: Recursive,
    inputs: Arrays | None = None,
    *,
    output: str,
    word: str,
    start: int | np.ndarray,
    end: int | None = None,
    limit: int,
    beams: int = 1,
    length_penalty: float = 0.0,
    masks: Arrays | None = None,
) -> Generated:
    """Generate words with ``decoder``, by beam search; greedily with one beam.

    All states start as declared. Kept states of a stateful decoder are not read and
    not changed. A node that chooses words itself, such as Greedy, has no influence if
    ``word`` is the state that it feeds.

    Args:
        decoder: the loop, of which single steps are run.
        inputs: the other inputs by name: contexts ``(batch, ...)``, and sequences of
            ``limit`` steps or more, ``(batch, time, ...)``. Inputs for training only
            are left out.
        output: the output or node that holds the probabilities of the next word,
            ``(batch, words)`` at each step, as a softmax returns them.
        word: the state or input that receives the chosen word: a state or a sequence
            of ``dtype='int'``, or a sequence of floats, which gets 1 at the place of
            the word and 0 elsewhere.
        start: the number of the symbol that the first step reads, or one for each row,
            ``(batch,)``.
        end: the number of the end symbol; None if there is none.
        limit: the largest number of words. A beam whose end symbol has not come by
            then is cut off, see ``ended`` of the result.
        beams: the number of beams.
        length_penalty: alpha of the score by which beams are compared,
            ``log_probability / ((5 + length) / 6) ** alpha``. Without a penalty, 0,
            longer beams are less probable. The score of equals is that of the earlier
            beam, then of the smaller word.
        masks: the masks of contexts by name, such as ``(batch, source)`` of a memory,
            0 at padding.

    Raises:
        UnknownNameError: for an unknown output, state or input.
        ConfigError: for anything but a loop, symbols that are not the numbers of words,
            more beams than there are sequences of ``limit`` words, or a decoder that
            reads earlier steps of a sequence.
        DtypeError: for a state that does not hold integers.
        DataError: for values of the output that are no probabilities, or for inputs
            that are missing.

    Source: the score is that of Wu et al., 2016.

    >>> from recursive import Activation, Dense, Embedding, Greedy, Recursive
    >>> rnn = Recursive(n_steps=3)
    >>> rnn.add_state("word", dtype="int", initial=1)
    >>> rnn.add_node(Embedding(3, 3, weights=[np.eye(3)]), "read", input="word")
    >>> table = np.log([[0.2, 0.2, 0.6], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    >>> scores = Dense(3, 3, weights=[table, np.zeros(3)])
    >>> rnn.add_node(scores, "scores", input="read")
    >>> rnn.add_node(Activation("softmax"), "p", input="scores", create_output=True)
    >>> rnn.add_node(Greedy(), "next", input="p", return_state="word")
    >>> rnn.compile(backend="python")
    >>> found = generate(rnn, output="p", word="word", start=1, end=0, limit=5)
    >>> found.words[0, 0].tolist(), np.exp(found.log_probabilities).round(2).tolist()
    ([2, 0], [[0.42]])
    """
    if not isinstance(decoder, Recursive):
        raise ConfigError.about(
            "argument",
            "decoder",
            takes="a Recursive or Recurrent container",
            because="single steps of it are run",
            got=type(decoder).__name__,
            do="Declare the network as one, with a RecurrentLSTM for example.",
        )
    inputs = inputs or {}
    started = tuple(name for name in optional_starts(decoder.spec) if name in inputs)
    masked = tuple(sorted(masks or {}))
    stepper = _stepper(decoder, output, word, masked, started)
    given = _checked_inputs(decoder, inputs, word)
    words = stepper.words
    end = None if end is None else _symbol("end", end, words)
    search = _Search(
        words=words,
        end=end,
        limit=count("limit", limit),
        beams=count("beams", beams),
        alpha=_checked_penalty(length_penalty),
    )
    starts = _start_symbols(start, stepper.symbols)
    rows = _number_of_rows(given, starts)
    starts = np.broadcast_to(starts, rows)
    memory = stepper.memory(given, masks or {}, rows, search)
    return search.run(stepper, memory, starts)


# The search: plain arrays


@dataclasses.dataclass(frozen=True)
class _Search:
    """A beam search.

    Args:
        words: the number of words.
        end: the number of the end symbol, or None.
        limit: the largest number of words of a beam.
        beams: the number of beams.
        alpha: the exponent of the length penalty.
    """

    words: int
    end: int | None
    limit: int
    beams: int
    alpha: float

    def __post_init__(self):
        if self.beams > _number_of_sequences(self.words, self.end, self.limit):
            raise ConfigError.about(
                "argument",
                "beams",
                takes="as many beams as there are sequences, or fewer",
                because=f"there are no more of up to {self.limit} of {self.words} "
                "words",
                got=str(self.beams),
                do="Choose fewer beams, or a larger limit.",
            )

    def run(self, stepper: _Stepper, memory: _Memory, starts: np.ndarray) -> Generated:
        """Search from the start symbols, ``(batch,)``."""
        batch = len(starts)
        shape = (batch, self.beams)
        # At first one beam is alive. The others repeat it, and have probability 0.
        log_p = np.full(shape, -np.inf)
        log_p[:, 0] = 0.0
        lengths = np.zeros(shape, int)
        ended = np.zeros(shape, bool)
        found = np.zeros((*shape, 0), int)
        last = np.repeat(starts[:, None], self.beams, axis=1)
        for t in range(self.limit):
            p, memory = stepper.step(memory, last.ravel(), t)
            p = p.reshape(*shape, self.words)
            parents, last, log_p = self._best(p, log_p, lengths, ended)
            ended = np.take_along_axis(ended, parents, 1)
            lengths = np.take_along_axis(lengths, parents, 1) + ~ended
            found = np.take_along_axis(found, parents[..., None], 1)
            found = np.concatenate([found, last[..., None]], axis=2)
            ended = ended | (last == self.end)
            # A beam of probability 0 cannot become one of the best.
            if (ended | np.isneginf(log_p)).all():
                break
            # The rows of all beams are the batch of the decoder.
            first_rows = np.arange(batch)[:, None] * self.beams
            memory = memory.reordered((first_rows + parents).ravel())
        return Generated(found, lengths, log_p, ended)

    def _best(
        self, p: np.ndarray, log_p: np.ndarray, lengths: np.ndarray, ended: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The best continuations: their beams, words and log-probabilities.

        Args:
            p: the probability of each word, ``(batch, beams, words)``.
            log_p: the log-probability of each beam, ``(batch, beams)``.
            lengths: the number of words of each beam, ``(batch, beams)``.
            ended: true for beams with an end symbol, ``(batch, beams)``.
        """
        with np.errstate(divide="ignore"):
            log_words = np.log(p)
        # A beam that has ended has one continuation: the end symbol, for nothing.
        if self.end is not None:
            only_end = np.full(self.words, -np.inf)
            only_end[self.end] = 0.0
            log_words = np.where(ended[..., None], only_end, log_words)
        totals = log_p[..., None] + log_words
        new_lengths = lengths + ~ended
        scores = totals / (((5 + new_lengths) / 6) ** self.alpha)[..., None]

        # Stable: of equals the first beam, then the first word.
        flat = scores.reshape(len(scores), -1)
        order = np.argsort(-flat, axis=1, kind="stable")[:, : self.beams]
        chosen = np.take_along_axis(totals.reshape(flat.shape), order, 1)
        parents, words = np.divmod(order, self.words)
        return parents, words, chosen


def _number_of_sequences(words: int, end: int | None, limit: int) -> int:
    """The number of sequences of up to ``limit`` words that end at the end symbol."""
    if end is None:
        return words**limit
    # Those that end after 1, 2, ... words, and those that never end.
    others = words - 1
    return sum(others**length for length in range(limit)) + others**limit


# One step of a decoder


@dataclasses.dataclass(frozen=True)
class _Memory:
    """What a step reads: a row for each beam of each row of the batch.

    Args:
        fixed: contexts, their masks and sequences, which are the same for all beams of
            a row.
        states: the rows of each state before the step, ``(lag, rows, ...)``.
    """

    fixed: Arrays
    states: Arrays

    def reordered(self, rows: np.ndarray) -> _Memory:
        """The same with the states of other rows; ``fixed`` does not change."""
        states = {name: value[:, rows] for name, value in self.states.items()}
        return _Memory(self.fixed, states)


class _Stepper:
    """Runs single steps of a decoder on arrays.

    Args:
        decoder: the container.
        output: the output or node of probabilities.
        word: the state or input that receives the word.
        masked: the names of the contexts that have a mask.
        started: the optional starts of states that are given.
    """

    def __init__(
        self,
        decoder: Recursive,
        output: str,
        word: str,
        masked: tuple[str, ...],
        started: tuple[str, ...],
    ):
        decoder.complete()
        self.word = word
        self.spec = with_starts(decoder.spec, started)
        absent = set(optional_starts(decoder.spec)) - set(started)
        self.inputs = {}
        for item in decoder.spec.inputs:
            if item.name not in absent:
                self.inputs[item.name] = item
        self.recurrences = declared(self.spec, {}).recurrences
        self.masked = masked
        _check_masks(self.spec.context_names, masked)
        _check_no_past_of_sequences(decoder)
        probabilities = _output_spec(decoder, output)
        # Every state starts as declared, also one that is kept between batches.
        states = []
        for state in self.spec.states:
            states.append(dataclasses.replace(state, stateful=False))
        run = decoder.loop_run(
            outputs=(probabilities,),
            states=tuple(states),
            stateful=False,
            return_sequences=True,
            return_final_states=False,
            n_steps=1,
            until=None,
            mask=None,
            unroll=True,
        )
        # There is one step: nothing is saved by moving a node out of the loop.
        self._run = dataclasses.replace(run, moves=False)
        shape = decoder.shapes[probabilities.name]
        self.words = _number_of_words(output, shape)
        self.symbols = _number_of_symbols(decoder, word, self.words)
        name = resolve_backend(getattr(decoder, "backend", None), why_not_jax(decoder))
        self._arguments = self._fixed_arguments(decoder)
        self._start = Program(self._arguments, self._build_start, name)
        past = [self._past(item, decoder) for item in self.recurrences]
        self._program = Program([*self._arguments, *past], self._build_step, name)

    # Programs

    def _fixed_arguments(self, decoder: Recursive) -> list[Argument]:
        """The inputs of the decoder for one step, and the masks of contexts."""
        found = []
        for argument in decoder.arguments():
            if argument.name not in self.inputs:
                continue
            shape = argument.shape
            if self.inputs[argument.name].is_sequence:
                shape = (shape[0], 1, *shape[2:])
            found.append(Argument(argument.name, argument.dtype, shape, argument.limit))
        for name in self.masked:
            found.append(Argument(f"mask of {name}", "bool", (None, None)))
        return found

    def _past(self, item: Recurrence, decoder: Recursive) -> Argument:
        shape = (item.lag, None, *decoder.shapes[item.name][1:])
        return Argument(f"past of {item.name}", backend.dtype_of(item.dtype), shape)

    def _values(self, tensors: list[TensorVariable]) -> dict[str, Value]:
        """The inputs of the decoder with their masks."""
        names = list(self.inputs)
        masks = dict(zip(self.masked, tensors[len(names) :], strict=False))
        values = {}
        for name, tensor in zip(names, tensors, strict=False):
            values[name] = Value(tensor, masks.get(name))
        return values

    def _build_start(self, tensors: list[TensorVariable]):
        """The function from inputs to the rows of each state before the first step."""
        values = self._values(tensors)
        inputs = {name: value.tensor for name, value in values.items()}
        sequences = {}
        for name, item in self.inputs.items():
            if item.is_sequence:
                sequences[name] = inputs[name].swapaxes(0, 1)
        _, batch = self._run.sizes(sequences, inputs)
        call = Call()
        start_values = self._run.start_values(values, call)
        starts = []
        for item in self._unkept():
            starts.append(self._run.start(item, start_values, batch, call))
        return starts, []

    def _unkept(self) -> list[Recurrence]:
        return [dataclasses.replace(item, stateful=False) for item in self.recurrences]

    def _build_step(self, tensors: list[TensorVariable]):
        """The function from inputs and states to probabilities and new states."""
        count_of_fixed = len(self._arguments)
        names = [item.name for item in self.recurrences]
        past = dict(zip(names, tensors[count_of_fixed:], strict=True))
        call = Call()
        found = self._run.execute(self._values(tensors), call, past)
        [probabilities] = found.outputs.values()
        lasts = [found.lasts[name] for name in names]
        return [probabilities.tensor, *lasts], call.updates

    # Arrays

    def memory(
        self, given: Arrays, masks: Arrays, rows: int, search: _Search
    ) -> _Memory:
        """What the first step reads, with the rows repeated for all beams."""
        fixed = {}
        for name, item in self.inputs.items():
            value = given.get(name)
            if value is None:
                value = self._stand_in(name, rows)
            elif item.is_sequence and value.shape[1] < search.limit:
                raise DataError.about(
                    "input",
                    name,
                    takes=f"{search.limit} steps or more, the limit",
                    got=str(value.shape[1]),
                    do="Choose a smaller limit.",
                )
            fixed[name] = np.repeat(value, search.beams, axis=0)
        for name in self.masked:
            value = np.asarray(masks[name]) != 0
            expected = fixed[name].shape[:2]
            value = np.repeat(value, search.beams, axis=0)
            if value.shape != expected:
                raise ShapeError.about(
                    "mask",
                    name,
                    takes=f"the first axes of its context, {given[name].shape[:2]}",
                    got=str(np.shape(masks[name])),
                    do="Pass one entry for each step of the context.",
                )
            fixed[f"mask of {name}"] = value
        first = self._at(fixed, 0)
        starts = self._start(*first.values())
        names = [item.name for item in self.recurrences]
        states = {}
        for name, value in zip(names, starts, strict=True):
            # A loop without inputs has one row.
            repeated = rows * search.beams // value.shape[1]
            states[name] = np.repeat(value, repeated, axis=1)
        return _Memory(fixed, states)

    def _stand_in(self, name: str, rows: int) -> np.ndarray:
        """Zeros for an input that a step gets later, or that is for training only."""
        [argument] = [item for item in self._arguments if item.name == name]
        if None in argument.shape[1:]:
            raise ShapeError.about(
                "input",
                name,
                takes="a dim, before it is left out",
                got="none",
                do="Pass dim= to add_input.",
            )
        shape = (rows, *argument.shape[1:])
        if name == self.spec.mask:
            return np.ones(shape, argument.dtype)
        return np.zeros(shape, argument.dtype)

    def _at(self, fixed: Arrays, t: int) -> dict[str, np.ndarray]:
        """The inputs of step ``t``."""
        found = {}
        for name, value in fixed.items():
            item = self.inputs.get(name)
            if item is not None and item.is_sequence:
                # A stand-in has one step.
                place = min(t, value.shape[1] - 1)
                value = np.ascontiguousarray(value[:, place : place + 1])
            found[name] = value
        return found

    def step(
        self, memory: _Memory, words: np.ndarray, t: int
    ) -> tuple[np.ndarray, _Memory]:
        """Run step ``t`` on words ``(rows,)``.

        Returns:
            The probability of each word, ``(rows, words)``, and what the next step
            reads.
        """
        arrays = self._at(memory.fixed, t)
        states = dict(memory.states)
        if self.word in self.inputs:
            arrays[self.word] = self._as_input(words)
        else:
            value = np.array(states[self.word])
            value[-1] = words
            states[self.word] = value
        p, *lasts = self._program(*arrays.values(), *states.values())
        p = p[:, 0]
        _check_probabilities(p)
        return p, _Memory(memory.fixed, dict(zip(states, lasts, strict=True)))

    def _as_input(self, words: np.ndarray) -> np.ndarray:
        item = self.inputs[self.word]
        dtype = backend.dtype_of(item.dtype)
        if item.dtype == "float":
            words = np.eye(self.symbols, dtype=dtype)[words]
        value = words.astype(dtype)
        return value[:, None] if item.is_sequence else value


_STEPPERS: WeakKeyDictionary[Recursive, dict] = WeakKeyDictionary()
"""The steppers of each decoder. Their programs are compiled once."""

KEPT_STEPPERS = 8
"""The number of steppers that are kept for each decoder."""


def _stepper(
    decoder: Recursive,
    output: str,
    word: str,
    masked: tuple[str, ...],
    started: tuple[str, ...],
) -> _Stepper:
    """The stepper of a decoder as it is declared now."""
    decoder.complete()
    name = resolve_backend(getattr(decoder, "backend", None), why_not_jax(decoder))
    key = (decoder.revision, backend.floatX(), name, output, word, masked, started)
    kept = _STEPPERS.setdefault(decoder, {})
    if key not in kept:
        kept[key] = _Stepper(decoder, output, word, masked, started)
        while len(kept) > KEPT_STEPPERS:
            del kept[next(iter(kept))]
    return kept[key]


# Checks


def _checked_inputs(
    decoder: Recursive, inputs: Arrays, word: str
) -> dict[str, np.ndarray]:
    """The inputs as arrays of their dtypes, all with one number of rows.

    Raises:
        DataError: for an input that is unknown or missing.
        ShapeError: for other axes, or different numbers of rows.
    """
    specs = {item.name: item for item in decoder.spec.inputs}
    needed = []
    for name, item in specs.items():
        if name != word and not item.training_only and name != decoder.spec.mask:
            needed.append(name)
    # What starts a state may be left out.
    optional = optional_starts(decoder.spec)
    needed = [name for name in needed if name in inputs or name not in optional]
    for name in [*inputs, *needed]:
        if name not in needed or name not in inputs:
            raise DataError.about(
                "input",
                str(name),
                takes=f"the inputs {', '.join(needed) or 'none'}",
                got="an unknown name" if name in inputs else "no array",
                do=suggest(str(name), needed) if name in inputs else "Pass it.",
            )
    arguments = {argument.name: argument for argument in decoder.arguments()}
    found = {}
    for name in needed:
        argument = arguments[name]
        array = as_array("input", name, inputs[name], argument.dtype)
        data.check_shape("input", argument, array)
        data.check_limit("input", argument, array)
        found[name] = array
    if len({len(array) for array in found.values()}) > 1:
        shapes = [f"{name} {array.shape}" for name, array in found.items()]
        raise ShapeError.about(
            "input",
            ", ".join(found),
            takes="one number of rows",
            got=", ".join(shapes),
            do="Cut them to the same rows.",
        )
    return found


def _number_of_rows(given: Arrays, starts: np.ndarray) -> int:
    """The size of the batch: that of the inputs, or of the start symbols."""
    rows = {len(array) for array in given.values()}
    if starts.ndim:
        rows.add(len(starts))
    if len(rows) > 1:
        raise ShapeError.about(
            "argument",
            "start",
            takes="one symbol, or one for each row of the inputs",
            got=f"{len(starts)} symbols for {len(next(iter(given.values())))} rows",
            do="Pass one integer for all rows.",
        )
    return rows.pop() if rows else 1


def _output_spec(decoder: Recursive, output: str) -> OutputSpec:
    """The declared output, or an output of the node with that name."""
    outputs = {item.name: item for item in decoder.spec.outputs}
    if output in outputs:
        return outputs[output]
    kinds = decoder.spec.names
    if kinds.get(output) == "node":
        return OutputSpec(output, (Ref(output),))
    nodes = [name for name, kind in kinds.items() if kind == "node"]
    raise UnknownNameError.about(
        "output",
        str(output),
        takes="the name of an output or node",
        got="an unknown name",
        do=suggest(str(output), [*outputs, *nodes]),
    )


def _number_of_words(output: str, shape: tuple) -> int:
    if len(shape) != 2 or shape[-1] is None:
        raise ShapeError.about(
            "output",
            output,
            takes="a probability for each word, (batch, words)",
            got=str(shape),
            do="Name the output of a softmax.",
        )
    return shape[-1]


def _number_of_symbols(decoder: Recursive, word: str, words: int) -> int:
    """The number of symbols that the decoder can read; checks what receives a word."""
    inputs = {item.name: item for item in decoder.spec.inputs}
    states = {item.name: item for item in decoder.spec.states}
    item = inputs.get(word) or states.get(word)
    if item is None:
        raise UnknownNameError.about(
            "state",
            str(word),
            takes="the name of the state or input that receives the chosen word",
            got="an unknown name",
            do=suggest(str(word), [*states, *inputs]),
        )
    _check_receives_words(item)
    readable = item.dim if item.dtype == "float" else decoder.limit_at(word)
    if readable is not None and readable < words:
        raise ConfigError.about(
            "decoder",
            word,
            takes=f"each of the {words} words of the output",
            because="a chosen word is read by the next step",
            got=f"one of {readable}",
            do="Correct the input_dim of the Embedding, or the softmax.",
        )
    return readable or words


def _check_receives_words(item: InputSpec | StateSpec) -> None:
    """Raise a DtypeError unless an input or state can hold the number of a word."""
    if item.dtype == "int":
        return
    is_one_hot = isinstance(item, InputSpec) and item.dtype == "float" and item.dim
    if not (is_one_hot and item.is_sequence):
        kind = "input" if isinstance(item, InputSpec) else "state"
        raise DtypeError.about(
            kind,
            item.name,
            takes="integers, or a sequence of floats with a place for each word",
            got=f"a {kind} of dtype {item.dtype}",
            do="Declare it with dtype='int', and read it with an Embedding.",
        )


def _check_masks(contexts: list[str], masked: tuple[str, ...]) -> None:
    for name in masked:
        if name not in contexts:
            raise UnknownNameError.about(
                "mask",
                str(name),
                takes="the name of a context",
                got="another name",
                do=suggest(str(name), contexts),
            )


def _check_no_past_of_sequences(decoder: Recursive) -> None:
    """Raise a ConfigError if a step reads earlier steps of a sequence."""
    training = {item.name for item in decoder.spec.inputs if item.training_only}
    for _, ref in decoder.spec.reads():
        is_sequence = ref.name in decoder.spec.sequence_names
        if is_sequence and ref.tap and ref.name not in training:
            raise ConfigError.about(
                "input",
                ref.name,
                takes="reads of the present step",
                because="single steps are run, which have no past of a sequence",
                got=str(ref),
                do="Keep it in a state: an Identity() node with return_state.",
            )


def _symbol(name: str, value: object, words: int) -> int:
    """``value`` as the number of a symbol."""
    is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_integer or not 0 <= value < words:
        raise ConfigError.about(
            "argument",
            name,
            takes=f"a symbol from 0 to {words - 1}",
            got=repr(value),
            do="Words are numbered from 0.",
        )
    return int(value)


def _start_symbols(start: object, symbols: int) -> np.ndarray:
    """The start symbols: one number, or one for each row."""
    found = np.asarray(start)
    fits = found.dtype.kind in "iu" and found.ndim < 2 and found.size > 0
    if not fits or found.min() < 0 or found.max() >= symbols:
        raise ConfigError.about(
            "argument",
            "start",
            takes=f"a symbol from 0 to {symbols - 1}, or one for each row",
            got=repr(start),
            do="Words are numbered from 0.",
        )
    return found


def _checked_penalty(value: object) -> float:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= value < np.inf:
        raise ConfigError.about(
            "argument",
            "length_penalty",
            takes="a number of 0 or more",
            got=repr(value),
            do="Pass length_penalty=0.6, for example, or leave it out.",
        )
    return float(value)


def _check_probabilities(p: np.ndarray) -> None:
    """Raise a DataError unless each row of ``p`` has probabilities."""
    # NaN compares as false.
    if not ((p >= 0).all() and (np.abs(p.sum(axis=-1) - 1) < 1e-3).all()):
        raise DataError.about(
            "output",
            "probabilities",
            takes="numbers of 0 or more that sum to 1 in each row",
            got="others",
            do="Name the output of a softmax.",
        )
