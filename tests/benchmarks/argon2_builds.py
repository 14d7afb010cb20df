"""Which build of Argon2id spends the budget best: those that are installed, in one run.

``python -m tests.benchmarks.argon2_builds``. Ratios hold within one run on one machine; a figure
of another day does not compare (docs/decisions/0013).
"""

import importlib
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

ROUNDS = 15
MEMORY_KIB, ITERATIONS, OUTPUT_BYTES = 65_536, 3, 32
LANES = (1, 2, 4)
PASSWORD, SALT = b"kettle wombat 3 lasso", bytes(range(16))

type Derive = Callable[[], bytes]


def main() -> None:
    """Measure interleaved and print medians, and CPU time as a ratio of the first."""
    ways = dict(_ways())
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    outputs: dict[str, set[bytes]] = {}
    for _ in range(ROUNDS):
        for name, derive in ways.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            output = derive()
            cpu[name].append(time.process_time() - began_cpu)
            wall[name].append(time.perf_counter() - began)
            outputs.setdefault(name.partition(", ")[2], set()).add(output)
    assert all(len(same) == 1 for same in outputs.values())  # or they are not one function
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    print(f"Argon2id, {MEMORY_KIB} KiB, {ITERATIONS} iterations, median of {ROUNDS}")
    first = statistics.median(next(iter(cpu.values())))
    for name in ways:
        spent = statistics.median(cpu[name])
        print(
            f"{name:28}{1000 * statistics.median(wall[name]):6.0f} ms"
            f"{1000 * spent:6.0f} ms CPU{spent / first:6.2f}"
        )


def _ways() -> Iterator[tuple[str, Derive]]:
    for lanes in LANES:
        yield f"cryptography, {lanes} lanes", _by_cryptography(lanes)
    for lanes in LANES:
        if derive := _by_argon2_cffi(lanes):
            yield f"argon2-cffi, {lanes} lanes", derive
    if derive := _by_libsodium():
        yield "PyNaCl, 1 lanes", derive


def _by_cryptography(lanes: int) -> Derive:
    return lambda: Argon2id(
        salt=SALT, length=OUTPUT_BYTES, iterations=ITERATIONS, lanes=lanes, memory_cost=MEMORY_KIB
    ).derive(PASSWORD)


def _by_argon2_cffi(lanes: int) -> Derive | None:
    argon2 = _installed("argon2.low_level")
    if argon2 is None:
        return None
    return lambda: bytes(
        argon2.hash_secret_raw(
            PASSWORD, SALT, ITERATIONS, MEMORY_KIB, lanes, OUTPUT_BYTES, argon2.Type.ID
        )
    )


def _by_libsodium() -> Derive | None:
    """Return libsodium's, which knows one lane only and chooses its code when it is loaded."""
    nacl = _installed("nacl.bindings")
    if nacl is None:
        return None
    return lambda: bytes(
        nacl.crypto_pwhash_alg(
            OUTPUT_BYTES,
            PASSWORD,
            SALT,
            ITERATIONS,
            1024 * MEMORY_KIB,
            nacl.crypto_pwhash_ALG_ARGON2ID13,
        )
    )


def _installed(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        return None


if __name__ == "__main__":
    main()
