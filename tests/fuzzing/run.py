"""Fuzz what reads foreign bytes, led by coverage and bounded in time: ``python3 dev.py fuzz [--seconds N] [TARGET]``.

Each target runs in a process of its own. What is found is printed and left in a file under the folder of findings; it
becomes a line of ``FOUND`` in ``tests/security/test_security_targets.py``, and is mended.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

BLIND = "Is the code instrumented for coverage?"
"""What libFuzzer asks when nothing tells it which lines of the target ran."""


def fuzz(target: str, seconds: int, findings: Path) -> None:
    """Fuzz one target; the fuzzer ends the process."""
    import atheris  # noqa: PLC0415  # only the process that fuzzes

    with atheris.instrument_imports(include=["sessionbag", "sessionbag_stream"]):
        import fuzz_targets  # noqa: PLC0415  # its imports are to be watched
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(fuzz_targets.seeds(target)):
            Path(corpus, str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", f"-artifact_prefix={findings}/{target}-", "-print_final_stats=1"]
        limits = ["-timeout=20", "-rss_limit_mb=1024", "-max_len=4096"]
        atheris.Setup([sys.argv[0], *options, *limits, corpus], fuzz_targets.TARGETS[target])
        atheris.Fuzz()


def main() -> int:
    """Fuzz the targets one after the other, and say whether nothing was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all, where none is named")
    parser.add_argument("--seconds", type=int, default=15, help="for each target")
    parser.add_argument("--findings", type=Path, default=Path("build/fuzzing"), help="where findings are left")
    parser.add_argument("--in-process", metavar="TARGET", help="do not start a process for it")
    arguments = parser.parse_args()
    arguments.findings.mkdir(parents=True, exist_ok=True)
    if arguments.in_process:
        fuzz(arguments.in_process, arguments.seconds, arguments.findings)
    from fuzz_targets import TARGETS  # noqa: PLC0415  # not before the fuzzer, which watches what it sees imported

    if unknown := [target for target in arguments.targets if target not in TARGETS]:
        parser.error(f"no target: {', '.join(unknown)}. There are {', '.join(TARGETS)}")
    failed = []
    for target in arguments.targets or TARGETS:
        command = [sys.executable, __file__, "--seconds", str(arguments.seconds), "--in-process", target]
        command += ["--findings", str(arguments.findings)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
        lines = done.stderr.splitlines()
        executed = next((line.split()[-1] for line in lines if "number_of_executed_units" in line), "?")
        broken = done.returncode != 0 or BLIND in done.stderr
        print(f"{target}: {executed} inputs, {'BROKEN' if broken else 'nothing found'}", flush=True)
        if broken:
            failed.append(target)
            print(done.stdout, "\n".join(lines[-60:]), sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
