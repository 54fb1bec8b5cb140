#!/usr/bin/env python3
"""Removes the guards of the product one at a time and demands that the tests notice.

    tools/guards/run.py                  all of them, in a copy of the tree under target/guards
    tools/guards/run.py --check          only whether every entry still fits the tree; builds nothing
    tools/guards/run.py --only stock     entries whose id or test contains this
    tools/guards/run.py --json FILE      also write what became of each

An entry of guards.toml names a file, the exact text of the guard, what stands there without it, and the tests that
must go red. Before the first entry the tests named run once on the tree as it is: a test that is red anyway proves
nothing. Needs Python 3.11 and cargo ($CARGO), nothing else. Hours, not minutes.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
CARGO = os.environ.get("CARGO", "cargo")
PATIENCE_S = 900

BITES, MISSED, BROKEN = "bites", "NOBODY NOTICES", "DOES NOT BUILD"


def guards():
    with open(HERE / "guards.toml", "rb") as file:
        return tomllib.load(file)["guard"]


def changed(root, guard):
    """The file without the guard."""
    text = (root / guard["file"]).read_text(encoding="utf-8")
    count = text.count(guard["remove"])
    if count != 1:
        raise SystemExit(f"{guard['id']}: its text stands {count} times in {guard['file']}, not once")
    return text.replace(guard["remove"], guard["put"])


def copy_to(target):
    """What git knows or would add, as it stands now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TREE, check=True, capture_output=True, text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, copy = TREE / name, target / name
        if not source.is_file():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        # Only what differs, so that a second run builds little.
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            shutil.copyfile(source, copy)


def test(root, arguments):
    """Whether the tests are green, red, or do not build."""
    command = [CARGO, "test", *arguments.split()]
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return "red", "it hangs"
    said = done.stdout + done.stderr
    if "could not compile" in said:
        return "broken", said
    if done.returncode == 0:
        # A filter that matches nothing is green and proves nothing.
        ran = any(f"{count} passed" in said for count in range(1, 1000))
        return ("green", said) if ran else ("broken", "no test ran: " + " ".join(command))
    return "red", said


def run(root, chosen):
    for arguments in sorted({guard["test"] for guard in chosen}):
        colour, said = test(root, arguments)
        if colour != "green":
            raise SystemExit(f"{colour} before anything was removed: {arguments}\n{said[-3000:]}")
    results = []
    for guard in chosen:
        path = root / guard["file"]
        kept, started = path.read_text(encoding="utf-8"), time.monotonic()
        path.write_text(changed(root, guard), encoding="utf-8")
        try:
            colour, said = test(root, guard["test"])
        finally:
            path.write_text(kept, encoding="utf-8")
        verdict = {"red": BITES, "green": MISSED, "broken": BROKEN}[colour]
        results.append({"id": guard["id"], "verdict": verdict})
        print(f"{verdict:15} {guard['id']} ({time.monotonic() - started:.0f} s): {guard['why']}", flush=True)
        if verdict == BROKEN:
            print(said[-2000:], flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only check that every entry fits the tree")
    parser.add_argument("--only", action="append", default=[], help="part of an id or of a test; may be repeated")
    parser.add_argument("--dir", type=pathlib.Path, default=TREE / "target" / "guards", help="where the copy goes")
    parser.add_argument("--json", type=pathlib.Path, help="write the results here")
    options = parser.parse_args()
    everything = guards()
    ids = [guard["id"] for guard in everything]
    if len(set(ids)) != len(ids):
        raise SystemExit("an id stands twice")
    for guard in everything:
        if changed(TREE, guard) == (TREE / guard["file"]).read_text(encoding="utf-8"):
            raise SystemExit(f"{guard['id']}: removes nothing")
    if options.check:
        print(f"{len(everything)} guards, each stands once in the tree")
        return 0
    chosen = [g for g in everything if not options.only or any(o in g["id"] or o in g["test"] for o in options.only)]
    copy_to(options.dir)
    results = run(options.dir, chosen)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    bite = sum(result["verdict"] == BITES for result in results)
    print(f"{bite}/{len(results)} guards bite")
    return 0 if bite == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
