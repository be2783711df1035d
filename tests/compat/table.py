"""What came of the runs, as Markdown, and what of it was not expected?"""

import fnmatch


def passed(cases):
    return sum(why is None for why in cases.values())


def lost(outcome, way):
    """Cases that pass directly, and not this way: name → why."""
    direct = outcome["ways"].get("direct", {})
    cases = outcome["ways"].get(way, {})
    good = [name for name, why in direct.items() if why is None]
    return {name: cases.get(name, "did not run") for name in good if cases.get(name, "did not run") is not None}


def table(outcomes):
    lines = ["| what | version | directly | at 0 | at 100 | at 50 |", "| --- | --- | --- | --- | --- | --- |"]
    for outcome in outcomes.values():
        ways = outcome["ways"]
        cells = [str(passed(ways[way])) if way in ways else "–" for way in ("direct", "0", "100", "50")]
        lines.append(f"| {outcome['title']} | {outcome['version']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def expected(path):
    """Lines `suite | ways | case | what was said | why`, with * where anything will do."""
    known = []
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            suite, ways, case, said, why = (part.strip() for part in line.split(" | ", 4))
            known.append((suite, ways.split(","), case, said, why))
    return known


def differences(outcomes, path):
    known = expected(path)
    lines, unexpected = [], 0
    for name, outcome in outcomes.items():
        for way in ("0", "100", "50"):
            if way not in outcome["ways"]:
                continue
            for case, reason in lost(outcome, way).items():
                why = next((why for suite, ways, pattern, said, why in known if way in ways and matches(name, suite)
                            and matches(case, pattern) and matches(" ".join(reason.split()), said)), None)
                unexpected += why is None
                lines.append(f"{name} at {way}: {case}: {why or 'NOT EXPECTED: ' + ' '.join(reason.split())[:200]}")
    return "\n".join(lines), unexpected


def matches(case, pattern):
    """As in a shell, but for brackets, which names of cases contain."""
    return fnmatch.fnmatchcase(case, pattern.replace("[", "[[]"))
