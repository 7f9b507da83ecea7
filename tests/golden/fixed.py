"""What the two faulty networks of 2015 should have computed, by NumPy loops that read the declaration as one does.

``python -m tests.golden.fixed`` writes the cases ``fixed_*`` and the manifest. The other cases of ``legacy2015`` are
what the original code computed: no program of this project writes them, and none may.
"""

import hashlib
import json

import numpy as np
from safetensors.numpy import save

from recursive.conformance.case import CASES, read

TRUNCATED, STEP = 3, 1e-30


def two_states(w, x, past):
    """``ra`` reads its own state ``ha``, ``rb`` its own ``hb``, whatever the order they were declared in."""
    ra = np.tanh(
        np.concatenate([x["input"], past["ra"]], axis=-1) @ w["ra_W"] + w["ra_b"]
    )
    rb = np.tanh(np.concatenate([ra, past["rb"]], axis=-1) @ w["rb_W"] + w["rb_b"])
    return {"ra": ra, "rb": rb}


def two_inputs(w, x, past):
    """``p1`` reads ``u``, ``p2`` reads ``x``."""
    p1, p2 = x["u"] @ w["p1_W"] + w["p1_b"], x["x"] @ w["p2_W"] + w["p2_b"]
    h2h = past["rec"] @ w["h2h_W"] + w["h2h_b"]
    return {"p1": p1, "p2": p2, "h2h": h2h, "rec": np.tanh(p1 + p2 + h2h)}


FIXED = {
    "state_order": (two_states, "rb"),
    "two_inputs_dict_order": (two_inputs, "rec"),
}
"""By name: the step, and the node that is the output."""


def unrolled(step, weights, inputs, moved=None, start=0):
    """Every node at every time, batch first; from time ``start`` on with the weights ``moved`` in place of others."""
    batch, time = next(iter(inputs.values())).shape[:2]
    past = {name: np.zeros((batch, 4), dtype=complex) for name in ("ra", "rb", "rec")}
    found = []
    for t in range(time):
        found.append(
            step(
                weights | moved if moved and t >= start else weights,
                {name: array[:, t] for name, array in inputs.items()},
                past,
            )
        )
        past |= found[-1]
    return {
        name: np.stack([nodes[name] for nodes in found], axis=1) for name in found[0]
    }


def losses(nodes, output):
    """The sum of squares of the output, over all steps and of the last."""
    return {
        "seq": (nodes[output] ** 2).sum(),
        "last": (nodes[output][:, -1] ** 2).sum(),
    }


def gradients(step, output, weights, inputs, start):
    """The gradients of both losses by complex steps, exact to the last digits. The weights move from ``start`` on."""
    found = {
        kind: {name: np.zeros(w.shape) for name, w in weights.items()}
        for kind in ("seq", "last")
    }
    for name, w in weights.items():
        for index in np.ndindex(w.shape):
            moved = w.astype(complex)
            moved[index] += STEP * 1j
            for kind, loss in losses(
                unrolled(step, weights, inputs, {name: moved}, start), output
            ).items():
                found[kind][name][index] = loss.imag / STEP
    return found


def arrays_of(name):
    """The arrays of ``fixed_<name>``: weights and inputs of the faulty case, and all else anew."""
    step, output = FIXED[name]
    faulty = read(f"legacy2015/recursive/bug_{name}")
    weights, inputs = faulty.part("w__"), faulty.part("x__")
    nodes = {
        node: array.real for node, array in unrolled(step, weights, inputs).items()
    }
    found = {f"w__{key}": array for key, array in weights.items()} | {
        f"x__{key}": a for key, a in inputs.items()
    }
    found |= {f"node__{node}": array for node, array in nodes.items()}
    found |= {
        f"out_seq__{output}": nodes[output],
        f"out_last__{output}": nodes[output][:, -1],
    }
    found |= {
        f"loss_{kind}": np.array(loss) for kind, loss in losses(nodes, output).items()
    }
    time = next(iter(inputs.values())).shape[1]
    for suffix, start in (("", 0), (f"_trunc{TRUNCATED}", time - TRUNCATED)):
        for kind, by_name in gradients(step, output, weights, inputs, start).items():
            found |= {
                f"grad_{kind}{suffix}__{key}": array for key, array in by_name.items()
            }
    return {
        key: np.ascontiguousarray(found[key]).reshape(found[key].shape)
        for key in sorted(found)
    }


def about(name):
    """What ``case.json`` of ``fixed_<name>`` says."""
    faulty = dict(read(f"legacy2015/recursive/bug_{name}").about)
    return faulty | {
        "id": f"recursive/fixed_{name}",
        "judged": True,
        "bug": None,
        "description": f"the network of bug_{name}, with its weights and inputs, as it was declared",
        "why": f"What is right where the original was silently wrong: see bug_{name}.",
        "produced_by": {
            "how": "a NumPy loop over time; gradients by complex steps",
            "code": "tests/golden/fixed.py",
        },
    }


def write():
    """Write the fixed cases, then the manifest of all files."""
    for name in FIXED:
        folder = CASES / "legacy2015" / "recursive" / f"fixed_{name}"
        folder.mkdir(exist_ok=True)
        (folder / "case.json").write_text(
            json.dumps(about(name), indent=1, ensure_ascii=False) + "\n"
        )
        (folder / "arrays.safetensors").write_bytes(save(arrays_of(name)))
    (CASES / "MANIFEST.json").write_text(json.dumps(manifest(), indent=1) + "\n")


def manifest():
    """Every case with the sha256 of its files, as they are."""
    cases = {}
    for path in sorted(CASES.rglob("case.json")):
        files = {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(path.parent.iterdir())
        }
        said = json.loads(path.read_text(encoding="utf-8"))
        cases[path.parent.relative_to(CASES).as_posix()] = {
            "tier": said["tier"],
            "judged": said["judged"],
            "files": files,
        }
    return {"cases": cases}


if __name__ == "__main__":
    write()
