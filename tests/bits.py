"""Digests of what jaxgen computes, one a line: a change that is not meant to change results changes none of them.

    python tests/bits.py contract > BEFORE         # the state of each case of the contract after 7 steps
    python tests/bits.py experiments >> BEFORE     # the last line and the last sheet of 300 steps of ten experiments

Compare files of one machine only: bits depend on the processor, the number of cores and the libraries (README). The
first takes some minutes, the second about half an hour.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

EXPERIMENTS = (
    "mnist_gan",
    "mnist_dcgan",
    "mnist_vae",
    "mnist_hierarchical_vae",
    "mnist_vq_vae",
    "mnist_diffusion",
    "mnist_classifier",
    "mnist_made",
    "kjv_gpt",
    "kjv_text_vae",
    "emoji_pix2pix",
)
STEPS = 300


def contract(names: list[str]) -> None:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from contract_cases import CASES, dispatch_of, initial_state

    from jaxgen.training import checkpoint

    for name in names or CASES:
        state, _ = dispatch_of(name, 1)(initial_state(name), 7)
        print(f"contract {name} {checkpoint.digest(state)}", flush=True)


def experiments(names: list[str]) -> None:
    for name in names or EXPERIMENTS:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            often = ["--log-every", "100", "--sample-every", "300", "--eval-every", "0", "--checkpoint-every", "0"]
            options = ["--preset", "quick", "--seed", "0", "--steps", str(STEPS), *often, "--run-dir", str(run)]
            command = [sys.executable, "-m", f"jaxgen.experiments.{name}", *options]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{name}: {done.stderr[-2000:]}")
            line = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
            values = {key: value for key, value in line.items() if not key.startswith("speed/")}
            sheets = sorted((run / "samples").glob(f"*{STEPS}.*"))
            digests = [hashlib.sha256(sheet.read_bytes()).hexdigest()[:16] for sheet in sheets]
            print(f"experiment {name} {json.dumps(values, sort_keys=True)} {' '.join(digests)}", flush=True)


if __name__ == "__main__":
    {"contract": contract, "experiments": experiments}[sys.argv[1]](sys.argv[2:])
