"""Adds up the results of a test run.

In: the folder that tools/run_tests fills: ctest.xml and pytest.xml (JUnit), gtest/*.xml (one a test program), and an
empty NAME.failed for each check that failed.
Out: the names of what failed, then "N passed, N failed, N skipped" as the last line. Exit code 1 if anything failed or
nothing ran.
"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def cases(path):
    """Yields (name, outcome) of each test case in a JUnit or GoogleTest file."""
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        tags = {child.tag for child in case}
        if tags & {"failure", "error"} or case.get("status") == "fail":
            outcome = "failed"
        elif "skipped" in tags or case.get("status") in ("notrun", "disabled") or case.get("result") == "skipped":
            outcome = "skipped"
        else:
            outcome = "passed"
        yield f"{case.get('classname')}.{case.get('name')}", outcome


def main(folder):
    outcomes = []
    programs = {}
    for path in sorted((folder / "gtest").glob("*.xml")):
        try:
            programs[path.stem] = list(cases(path))
        except ElementTree.ParseError:
            pass  # the program died while writing: ctest's own entry counts
    for name, outcome in cases(folder / "ctest.xml"):
        program = name.split(".")[-1]
        inside = programs.pop(program, None)
        if inside is None:
            outcomes.append((program, outcome))
            continue
        outcomes += inside
        # A crash or a leak after the last test case.
        if outcome == "failed" and all(o != "failed" for _, o in inside):
            outcomes.append((f"{program} (as a whole)", "failed"))
    outcomes += cases(folder / "pytest.xml")
    outcomes += [(path.stem, "failed") for path in sorted(folder.glob("*.failed"))]

    count = {kind: sum(o == kind for _, o in outcomes) for kind in ("passed", "failed", "skipped")}
    for name, outcome in outcomes:
        if outcome == "failed":
            print(f"FAILED {name}")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 0 if count["failed"] == 0 and count["passed"] > 0 else 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
