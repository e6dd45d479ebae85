"""Presentation of a report: a text table, a plot of quality against step, and an HTML page with both and the sheet."""

from __future__ import annotations

import base64
import io
import json
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from nted_step.image import encode_image

COPY, WARP = "copying the source", "warping its limbs"
IMAGES = "the images"  # row of images that were made beforehand
# Key of a row -> title, decimals, whether higher is better (None: nearer to 1 is better).
COLUMNS = {
    "masked_psnr": ("masked PSNR", 2, True),
    "psnr": ("PSNR", 2, True),
    "face_psnr": ("face PSNR", 2, True),
    "ssim": ("SSIM", 4, True),
    "ssim_51": ("SSIM 51", 4, True),
    "ssim_256": ("SSIM 256", 4, True),
    "colour": ("colour error", 2, False),
    "sharp": ("sharp", 3, None),
    "el0": ("EL0", 3, False),
    "akd": ("AKD", 2, False),
    "mkr": ("MKR", 3, False),
    "lpips": ("LPIPS", 4, False),
    "fid": ("FID", 2, False),
    "clean_fid": ("clean-FID", 2, False),
}
ALWAYS = ("psnr", "ssim")  # in the text table even if they are missing
ARROWS = {True: " ↑", False: " ↓", None: " → 1"}
BETTER = {True: "higher is better", False: "lower is better", None: "nearer to 1 is better"}
LINE, BASELINES = "#1f5fbf", {COPY: ("#666666", "--"), WARP: ("#a05a00", ":")}
MISSING = ' class="missing"'
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; max-width: 75rem; margin: 0 auto; padding: 1rem;
  overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .5rem; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child { text-align: left; }
tbody th { font-weight: normal; }
.missing { color: #595959; }
img { max-width: 100%; height: auto; }
svg { width: 100%; min-width: 40rem; height: auto; }
pre { background: #f5f5f5; padding: 1rem; white-space: pre-wrap; }
"""


def rows_of(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> row, baselines first."""
    return {name: report[name] for name in (COPY, WARP) if name in report} | report["steps"]


def measured(report: dict[str, Any]) -> list[str]:
    """Keys of the columns that hold numbers."""
    return [key for key in COLUMNS if isinstance(report[COPY].get(key), float)]


def format_table(report: dict[str, Any]) -> str:
    """The report for a terminal: the columns with numbers, then the missing metrics and why, then the gain over copying."""
    keys = [key for key in COLUMNS if key in ALWAYS or key in measured(report)]
    widths = {key: max(9, len(COLUMNS[key][0]) + 2) for key in keys}
    lines = [f"{'':20}{'resolution':>12}" + "".join(f"{COLUMNS[key][0]:>{widths[key]}}" for key in keys)]
    for name, row in rows_of(report).items():
        cells = "".join(f"{cell(row, key):>{widths[key]}}" for key in keys)
        lines.append(f"{name:20}{'x'.join(map(str, row.get('size', []))):>12}{cells}")
    lines += [f"{COLUMNS[key][0]} is not available: {reason}" for key, reason in report.get("not available", {}).items()]
    if places := report.get("place error"):
        lines.append(f"the carrier's places are {places['mean']:.2f} pixels off on average, {places['median']:.2f} in the median")
    lines.append(_gain(report))
    return "\n".join(lines)


def _gain(report: dict[str, Any]) -> str:
    """How much better than copying: over person pixels where the data has masks, else over whole images."""
    name, last = list(report["steps"].items())[-1]
    key, where = ("masked_psnr", "person pixels") if "masked_psnr" in measured(report) else ("psnr", "all pixels")
    subject = "the images are" if name == IMAGES else "the last step is"
    return f"{subject} {last[key] - report[COPY][key]:+.2f} dB from copying, over {where} of {report['figures']['count']} people"


def cell(row: dict[str, Any], key: str) -> str:
    """A number with its decimals, or the words in its place."""
    value = row.get(key, "")
    return f"{value:.{COLUMNS[key][1]}f}" if isinstance(value, float) else str(value)


def plot(report: dict[str, Any]) -> Figure:
    """Every measured column against the step, with the baselines as dashed and dotted lines."""
    keys = measured(report)
    across = min(3, len(keys))
    down = -(-len(keys) // across)
    figure = Figure(figsize=(3.2 * across, 2.4 * down + 0.3), layout="constrained")
    steps = [int(name.split()[1]) for name in report["steps"]]
    for place, key in enumerate(keys, 1):
        title, _, more = COLUMNS[key]
        axes = figure.add_subplot(down, across, place)
        axes.plot(
            steps, [_number(row[key]) for row in report["steps"].values()], color=LINE, marker="o", markersize=3, label="the model's steps"
        )
        for name, (colour, style) in BASELINES.items():
            if name in report:
                axes.axhline(_number(report[name][key]), color=colour, linestyle=style, linewidth=1, label=name)
        unit = ", dB" if "psnr" in key else ""
        axes.set_title(f"{title}{unit} ({BETTER[more]})", fontsize=9)
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize=8)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
        if place > len(keys) - across:
            axes.set_xlabel("step", fontsize=9)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def _number(value: float | str) -> float:
    return value if isinstance(value, float) else float("nan")  # a gap in the line


def draw(figure: Figure, kind: str) -> bytes:
    """A figure as "png" or "svg", with the same bytes each time."""
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "nted-step"}):
        if kind == "svg":
            figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        else:
            figure.savefig(buffer, format=kind, dpi=150)
    return buffer.getvalue()


def render_html(report: dict[str, Any], svg: str, sheet: bytes) -> str:
    """A self-contained page, with the plot as SVG and the sheet, a PNG, as a smaller WebP."""
    weights, figures = report["weights"], report["figures"]
    title = f"Evaluation of {weights['origin']}"
    rest = {key: value for key, value in report.items() if key not in (COPY, WARP, "steps")}
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"/><meta name="viewport" content="width=device-width"/><title>{escape(title)}</title><style>{STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
<p>{figures["count"]} pairs, {escape(figures["described"])}. Weights SHA-256 {escape(weights["sha256"])}.</p>
<div class="wide" tabindex="0" role="region" aria-label="Table of results">{_html_table(report)}</div>
{_html_missing(report)}
<h2>Quality against step</h2>
<div class="wide" tabindex="0" role="region" aria-label="Plot of every metric against the step; the table has the numbers">
{svg[svg.index("<svg") :]}</div>
<h2>Some people</h2>
<p>Source, pose, steps 1, 5, 10, 15 and 20 (or the last), truth.</p>
<p><img src="data:image/webp;base64,{_webp(sheet)}" alt="One row a person: source, pose, five steps, truth"/></p>
<h2>Settings and counts</h2>
<pre>{escape(json.dumps(rest, indent=2))}</pre>
</body>
</html>
"""


def _html_table(report: dict[str, Any]) -> str:
    heads = "".join(f'<th scope="col">{title}{ARROWS[more]}</th>' for title, _, more in COLUMNS.values())
    lines = []
    for name, row in rows_of(report).items():
        cells = "".join(f"<td{'' if isinstance(row.get(key), float) else MISSING}>{cell(row, key)}</td>" for key in COLUMNS)
        lines.append(f'<tr><th scope="row">{escape(name)}</th><td>{"x".join(map(str, row.get("size", [])))}</td>{cells}</tr>')
    caption = f"Protocol {escape(report['settings']['protocol']['name'])}; PSNR in dB; arrows show which way is better"
    head = f'<thead><tr><th scope="col">images</th><th scope="col">resolution</th>{heads}</tr></thead>'
    return f"<table><caption>{caption}</caption>{head}<tbody>{''.join(lines)}</tbody></table>"


def _html_missing(report: dict[str, Any]) -> str:
    reasons = report.get("not available", {})
    items = "".join(f"<li>{COLUMNS[key][0]} is not available: {escape(reason)}</li>" for key, reason in reasons.items())
    return f"<ul>{items}</ul>" if items else ""


def _webp(png: bytes) -> str:
    return base64.b64encode(encode_image(Image.open(io.BytesIO(png)).convert("RGB"), "WEBP", quality=85)).decode()
