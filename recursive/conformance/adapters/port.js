// A port for plain Node, forward only: JSON lines on stdin and stdout, arrays as safetensors by their paths.
//     recursive conformance run --stdio 'node port.js'
// A value at one step is a list of rows, each a list of numbers; no layer here mixes the rows of a batch.
"use strict";
const fs = require("fs");
const readline = require("readline");

const CAPABILITIES = ["taps", "free", "contexts", "initial", "mask", "n_steps", "until", "unroll", "go_backwards",
  "final_states", "stateful", "bool", "float32", "layer:Gate", "layer:Blend", "layer:RecurrentDense",
  "layer:RecurrentGRU", "layer:RecurrentLSTM"];

// Files: the length of a JSON header in eight bytes, the header, the numbers

const TYPES = {
  F64: [8, (b, at) => b.readDoubleLE(at), (b, value, at) => b.writeDoubleLE(value, at)],
  F32: [4, (b, at) => b.readFloatLE(at), (b, value, at) => b.writeFloatLE(value, at)],
  I64: [8, (b, at) => Number(b.readBigInt64LE(at))],
  I32: [4, (b, at) => b.readInt32LE(at)],
  BOOL: [1, (b, at) => b.readUInt8(at)],
};

function load(path) {
  const bytes = fs.readFileSync(path), start = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__, ...header } = JSON.parse(bytes.toString("utf8", 8, start));
  return mapped(header, ({ dtype, shape, data_offsets: [from, to] }) => {
    const [size, read] = TYPES[dtype];
    const numbers = Array.from({ length: (to - from) / size }, (_, i) => read(bytes, start + from + i * size));
    const value = shape.reduceRight((list, length, axis) => axis ? chunks(list, length) : list, numbers);
    return { dtype, shape, value };
  });
}

function save(path, values, dtype) {
  const [size, , write] = TYPES[dtype], header = {};
  let end = 0;
  for (const [name, value] of Object.entries(values)) {
    const shape = shapeOf(value), from = end;
    end += size * shape.reduce((a, b) => a * b, 1);
    header[name] = { dtype, shape, data_offsets: [from, end] };
  }
  const text = Buffer.from(JSON.stringify(header)), length = Buffer.alloc(8), body = Buffer.alloc(end);
  length.writeBigUInt64LE(BigInt(text.length));
  Object.values(values).flatMap((value) => value.flat(Infinity)).forEach((number, i) => write(body, number, i * size));
  fs.writeFileSync(path, Buffer.concat([length, text, body]));
}

const chunks = (list, size) => Array.from({ length: list.length / size },
  (_, i) => list.slice(i * size, (i + 1) * size));
const shapeOf = (value) => Array.isArray(value) ? [value.length, ...shapeOf(value[0])] : [];
const mapped = (object, f) => Object.fromEntries(Object.entries(object).map(([name, value]) => [name, f(value, name)]));
const part = (arrays, prefix) => Object.fromEntries(Object.entries(arrays)
  .filter(([name]) => name.startsWith(prefix)).map(([name, value]) => [name.slice(prefix.length), value]));
const swapped = (value) => value[0].map((_, i) => value.map((row) => row[i]));       // (a, b, ...) as (b, a, ...)
const stretched = (value, sizes) => sizes.length === shapeOf(value).length ? value            // repeated in front
  : Array.from({ length: sizes[0] }, () => stretched(value, sizes.slice(1)));

// What layers compute

const each = (f) => (row) => row.map(f);
const sigmoid = (z) => 1 / (1 + Math.exp(-z));
function softmax(row) {
  const powers = row.map((z) => Math.exp(z - Math.max(...row))), total = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / total);
}
const FUNCTIONS = {
  linear: (row) => row, tanh: each(Math.tanh), sigmoid: each(sigmoid), relu: each((z) => Math.max(z, 0)), softmax,
  hard_sigmoid: each((z) => Math.min(Math.max(0.2 * z + 0.5, 0), 1)),
  softplus: each((z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)))),
};

// A function of numbers, over values of the same rows; a row of one number goes with every number of another
const over = (f) => (...values) => values[0].map((_, b) => {
  const rows = values.map((value) => value[b]), width = Math.max(...rows.map((row) => row.length));
  return Array.from({ length: width }, (_, i) => f(...rows.map((row) => row[row.length === 1 ? 0 : i])));
});
const add = over((...terms) => terms.reduce((a, b) => a + b));
const times = over((...terms) => terms.reduce((a, b) => a * b));
const blend = over((gate, a, b) => gate * a + (1 - gate) * b);
const MERGES = {
  concat: (...values) => values[0].map((_, b) => values.flatMap((value) => value[b])),
  sum: add, mul: times, max: over(Math.max),
  ave: (...values) => add(...values).map(each((total) => total / values.length)),
  dot: (...values) => times(...values).map((row) => [row.reduce((a, b) => a + b)]),
};

const product = (x, W) => x.map((row) => W[0].map((_, j) => row.reduce((sum, value, i) => sum + value * W[i][j], 0)));
const biased = (x, b) => b ? x.map((row) => row.map((value, i) => value + b[i])) : x;
const gate = (p, name, f, x, h) => biased(add(product(x, p["W" + name]), product(h, p["U" + name])), p["b" + name])
  .map(FUNCTIONS[f]);

const simple = (p, f, g, x, h) => [gate(p, "", f, x, h)];
function gru(p, f, g, x, h) {
  const reset = times(gate(p, "_r", g, x, h), h);
  return [blend(gate(p, "_z", g, x, h), h, gate(p, "_h", f, x, reset))];
}
function lstm(p, f, g, x, h, c) {
  const now = add(times(gate(p, "_f", g, x, h), c), times(gate(p, "_i", g, x, h), gate(p, "_c", f, x, h)));
  return [times(gate(p, "_o", g, x, h), now.map(FUNCTIONS[f])), now];
}
const CELLS = { RecurrentDense: [simple, "sigmoid"], Gate: [simple, "hard_sigmoid"], RecurrentGRU: [gru, "sigmoid"],
  RecurrentLSTM: [lstm, "tanh"] };

function compute({ class_name: kind, config }, p, ports) {
  if (kind in CELLS) {
    const [step, usual] = CELLS[kind];
    const reads = ["input", "prev_hid", "prev_cell"].filter((name) => name in ports).map((name) => ports[name]);
    return step(p, config.activation ?? usual, config.inner_activation ?? "hard_sigmoid", ...reads);
  }
  if (kind === "Blend") return [blend(ports.gate, ports.old, ports.new)];
  const [x] = Object.values(ports);
  return [(kind === "Dense" ? biased(product(x, p.W), p.b) : x).map(FUNCTIONS[config.activation ?? "linear"])];
}

// What names mean

const valuesOf = ({ name, outputs }) => (outputs.length ? outputs : ["output"])
  .map((value) => value === "output" ? name : value.includes(".") ? value : `${name}.${value}`);
const readsOf = (node) => Object.values(node.ports).flatMap((port) => port.read);

class Model {
  constructor(spec, arrays) {
    this.spec = spec;
    this.params = mapped(part(arrays, "param/"), ({ value }) => value);
    this.dtype = Object.values(arrays)[0]?.dtype ?? "F64";
    this.nodes = Object.fromEntries(spec.nodes.flatMap((node) => valuesOf(node).map((value) => [value, node])));
    this.states = Object.fromEntries(spec.states.map((state) => [state.name, state]));
    const last = spec.nodes.at(-1);
    this.outputs = spec.outputs.length ? spec.outputs : [{ name: last.name, read: valuesOf(last).slice(0, 1) }];
    this.lag = mapped(this.states, () => 1);
    for (const [name, back] of [...spec.nodes.flatMap(readsOf), ...this.outputs.flatMap(({ read }) => read)]
      .map((text) => this.meaning(text))) {
      if (back) this.lag[name] = Math.max(back, this.lag[name] ?? 1);
      if (back && name in this.nodes) this.states[name] ??= { name, input: name, initial: 0 };  // remembers itself
    }
    this.ordered = [];
    while (this.ordered.length < spec.nodes.length) {
      const waits = (name) => name in this.nodes && !this.ordered.includes(this.nodes[name]);
      this.ordered.push(spec.nodes.find((node) => !this.ordered.includes(node) && !readsOf(node)
        .map((text) => this.meaning(text)).some(([name, back]) => !back && waits(name))));
    }
    this.carried = {};
  }

  // A name, and how many steps back: a state bare is one, and the past of a node is that of its state
  meaning(text) {
    const [, name, back] = /^(.+)_tm(\d+)$/.exec(text) ?? [null, text, 0];
    if (name in this.states && (back || !(name in this.nodes))) return [name, Number(back) || 1];
    const state = this.spec.states.find(({ input }) => input === name);
    return back && state ? [state.name, Number(back)] : [name, Number(back)];
  }

  // Numbers a row; 0 in a circle
  width(name, known, seen = []) {
    if (known[name] || seen.includes(name)) return known[name] ?? 0;
    if (!(name in this.nodes)) return this.width(this.states[name].input, known, [...seen, name]);
    const { layer, ports } = this.nodes[name];
    return layer.config.output_dim ?? Math.max(...Object.values(ports).map(({ read, merge_mode: mode }) => {
      const widths = read.map((text) => this.width(this.meaning(text)[0], known, [...seen, name]));
      return mode === "dot" ? 1 : mode === "concat" ? widths.reduce((a, b) => a + b) : Math.max(...widths);
    }));
  }

  // What a state starts from: (lag, batch, dim), oldest first, or what is to be repeated in front to get there
  start({ name, initial }, given, contexts, rows) {
    if (name in given) return given[name];
    const context = contexts[initial];
    if (context) return shapeOf(context).length === 3 ? swapped(context) : context;
    const value = initial === "learned" ? this.params[`${name}.initial`] : initial === "drawn" ? 0 : initial;
    return shapeOf(value).length === 2 ? value.map((row) => Array(rows).fill(row)) : value;
  }

  run(arrays) {
    const { spec } = this, values = (prefix) => mapped(part(arrays, prefix), ({ value }) => value);
    const inputs = values("in/"), turned = (steps) => spec.go_backwards ? steps.toReversed() : steps;
    const isOver = Object.fromEntries(spec.inputs.map((item) => [item.name, item.is_sequence]));
    const contexts = Object.fromEntries(Object.entries(inputs).filter(([name]) => !isOver[name]));
    const sequences = Object.fromEntries(Object.entries(inputs).filter(([name]) => isOver[name])
      .map(([name, value]) => [name, turned(swapped(value)).map((step) => step.map((row) => [row].flat()))]));
    const rows = Object.values(inputs)[0]?.length ?? 1, length = spec.n_steps ?? Object.values(sequences)[0].length;
    const masks = [arrays.mask && turned(swapped(arrays.mask.value)), sequences[spec.mask]].filter(Boolean);
    const kept = (t, now, old) => now.map((row, b) => masks.every((mask) => Number(mask[t][b])) ? row : old[b]);
    const given = { ...this.carried, ...values("state0/") };
    const starts = mapped(this.states, (state) => this.start(state, given, contexts, rows));
    const known = { ...mapped(inputs, (value) => shapeOf(value).at(-1)),
      ...mapped(starts, (value, name) => this.states[name].dim ?? shapeOf(value).at(-1)) };
    let past = { ...mapped(starts, (value, name) => stretched(value, [this.lag[name], rows, this.width(name, known)])),
      ...mapped(sequences, ([step], name) => Array(this.lag[name] ?? 0).fill(step.map(each(() => 0)))) };
    const shown = {};
    for (let t = 0; t < length; t++) {
      const now = { ...contexts, ...mapped(sequences, (steps) => steps[t]) };
      const read = (port) => {
        const found = port.read.map((text) => this.meaning(text))
          .map(([name, back]) => back ? past[name].at(-back) : now[name]);
        return found.length === 1 ? found[0] : MERGES[port.merge_mode](...found);
      };
      for (const node of this.ordered) {
        const found = compute(node.layer, part(this.params, `${node.name}.`), mapped(node.ports, read));
        valuesOf(node).forEach((name, i) => { now[name] = found[i]; });
      }
      const seen = { ...Object.fromEntries(this.outputs.map((output) => [`out/${output.name}`, read(output)])),
        ...Object.fromEntries(Object.keys(this.nodes).map((name) => [`node/${name}`, now[name]])) };
      for (const [name, value] of Object.entries(seen)) {
        const before = shown[name]?.at(-1) ?? value.map(each(() => 0));
        (shown[name] ??= []).push(kept(t, value, before));
      }
      past = mapped(past, (old, name) => old.map((step, i) =>
        kept(t, old[i + 1] ?? now[name in this.states ? this.states[name].input : name], step)));
      if (spec.until && now[spec.until].flat().every(Boolean)) break;
    }
    return this.found(shown, mapped(this.states, (_, name) => past[name]));
  }

  // Everything by the name that it has in a file
  found(shown, past) {
    const finals = mapped(past, (steps) => steps.length === 1 ? steps[0] : steps);
    this.carried = Object.fromEntries(Object.entries(finals)
      .filter(([name]) => this.states[name].stateful ?? this.spec.stateful));
    const found = mapped(shown, (steps, name) =>
      name.startsWith("node/") || this.spec.return_sequences ? swapped(steps) : steps.at(-1));
    for (const [name, steps] of Object.entries(past)) {
      found[`final/${name}`] = finals[name];
      if (this.spec.return_final_states) {
        found[`out/${name.replaceAll(".", "_")}_final`] = steps.length === 1 ? steps[0] : swapped(steps);
      }
    }
    return found;
  }
}

// Questions and answers

let model = null;
const METHODS = {
  hello: () => ({ name: "node", capabilities: CAPABILITIES, methods: [] }),
  build: ({ spec, arrays }) => { model = new Model(spec, load(arrays)); return {}; },
  run: ({ arrays, out }) => { save(out, model.run(load(arrays)), model.dtype); return {}; },
};
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, ...question } = JSON.parse(line);
  let answer;
  try {
    answer = { result: METHODS[method](question) };
  } catch (error) {
    answer = { error: { code: error.name, message: error.stack } };
  }
  console.log(JSON.stringify({ id, ...answer }));
});
