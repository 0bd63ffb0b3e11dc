"""From slices to figures: medians, ratios within a round, the table and the JSON."""

import platform
from dataclasses import asdict
from statistics import median

from cases import Case
from measure import Slice

# The names the ratios are against.
AGAINST = ("nginx", "haproxy")

# As near as this to what is reached for, a ratio decides nothing.
UNDECIDED = 0.05

# Fewer do not tell apart what differs by less than some 10 to 15 %.
ENOUGH_ROUNDS = 9

# Connections opened per 1000 requests, above which a proxy can not be said to keep them.
KEPT = 5


def summarise(slices: dict[str, list[Slice]], resident: dict[str, int]) -> dict[str, dict]:
    """The figures of each proxy. `slices` has one per round and proxy, in the order of the rounds."""
    figures = {}
    for name, own in slices.items():
        cpu = [each.cpu_us_per_request for each in own]
        figures[name] = {
            "cpu_us_per_request": median(cpu),
            "cpu_us_min": min(cpu),
            "cpu_us_max": max(cpu),
            "ratio": {other: _ratio(own, slices[other]) for other in AGAINST if other in slices},
            "requests_per_second": median(each.requests_per_second for each in own),
            "resident_mib": resident[name] / 2**20,
            "load_core": median(each.load_core for each in own),
            "connections_per_1000_requests": median(1000 * each.connections / each.requests for each in own),
            "others": median(each.others for each in own),
            "failures": sum(each.failures for each in own),
            "ended_threads": sum(each.ended_threads for each in own),
        }
    return figures


def _ratio(own: list[Slice], other: list[Slice]) -> dict[str, float]:
    """Round by round, because what disturbs the machine lasts longer than a round."""
    ratios = [a.cpu_us_per_request / b.cpu_us_per_request for a, b in zip(own, other)]
    return {"median": median(ratios), "min": min(ratios), "max": max(ratios)}


def table(case: Case, rounds: int, seconds: int, versions: dict[str, str], figures: dict[str, dict]) -> str:
    head = ["proxy", "CPU µs/req", "min–max", *(f"÷{other}" for other in AGAINST)]
    head += ["req/s", "PSS MiB", "conns/1000", "load core", "others", "failures"]
    rows = [head]
    for name, of in figures.items():
        ratios = [f"{of['ratio'][other]['median']:.2f}" if other in of["ratio"] else "–" for other in AGAINST]
        rows.append(
            [
                name,
                f"{of['cpu_us_per_request']:.1f}",
                f"{of['cpu_us_min']:.1f}–{of['cpu_us_max']:.1f}",
                *ratios,
                f"{of['requests_per_second']:.0f}",
                f"{of['resident_mib']:.1f}",
                f"{of['connections_per_1000_requests']:.1f}",
                f"{of['load_core']:.0%}",
                f"{of['others']:.0%}",
                str(of["failures"]),
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        f"{case.name}: {case.about}; {_connections(case)}, {rounds} rounds of {seconds} s",
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        "",
    ]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells[1:]]))
    return "\n".join(lines)


def _connections(case: Case) -> str:
    if not case.is_kept:
        return f"{case.connections} at a time"
    streams = f" of {case.streams} requests at a time" if case.streams > 1 else ""
    return f"{case.connections} connections{streams}"


def notes(case: Case, rounds: int, figures: dict[str, dict], ringways: list[str]) -> list[str]:
    """What a reader must know about these figures, a sentence each. `ringways` are our own among them."""
    told = [_reached(name, figures[name], case.reach) for name in ringways if case.reach]
    if rounds < ENOUGH_ROUNDS:
        told.append(f"{rounds} rounds do not show differences below 10–15 %; judge with {ENOUGH_ROUNDS}.")
    if any(of["others"] > 0.1 for of in figures.values()):
        told.append("Other work used more than a tenth of a core here; read the ratios, not the microseconds.")
    for name, of in figures.items():
        opened = of["connections_per_1000_requests"]
        if opened > KEPT and name != "direct":
            more = "; raise --nginx-keepalive to see it without" if name == "nginx" else ""
            told.append(
                f"{name} opened {opened:.0f} connections per 1000 requests instead of keeping them,"
                f" and pays for that in CPU{more}."
            )
        if of["ended_threads"]:
            told.append(f"{name}: {of['ended_threads']} threads ended while measured; the figure lacks what they ran.")
    return told


def _reached(name: str, of: dict, reach: dict[str, float]) -> str:
    words = []
    for other, most in reach.items():
        if other not in of["ratio"]:
            continue
        ratio = of["ratio"][other]["median"]
        verdict = "undecided" if abs(ratio - most) <= UNDECIDED else "reached" if ratio < most else "missed"
        words.append(f"÷{other} {ratio:.2f}, at most {most:.2f} wanted: {verdict}")
    return f"{name}: {'; '.join(words) or 'nothing to hold it against'}."


def as_json(
    case: Case, settings: dict, versions: dict[str, str], slices: dict[str, list[Slice]], figures: dict[str, dict]
) -> dict:
    return {
        "case": asdict(case),
        "settings": settings,
        "kernel": platform.release(),
        "versions": versions,
        "figures": figures,
        "slices": {name: [asdict(each) for each in own] for name, own in slices.items()},
    }
