"""The look of the page: that of the incident reports, and the colours of variants.

The colours are from Okabe and Ito's set, darker on a light ground and lighter on a dark one, so
that each can be told from its ground and from the others, whatever somebody sees of colours.
"""

from greenlane.incidents.report_style import STYLE as SHARED

_OWN = """
:root {
  --v0: #59616b; --v1: #0072b2; --v2: #b35900; --v3: #00845f; --v4: #a0478f; --v5: #8a7000;
}
@media (prefers-color-scheme: dark) {
  :root {
    --v0: #a4acb6; --v1: #56b4e9; --v2: #f39c4b; --v3: #2fd3a0; --v4: #e08fd0; --v5: #e0d060;
  }
}
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr));
  gap: 10px 26px; }
.charts figure { margin: 0; }
.charts figcaption { color: var(--soft); font-size: 13px; }
.charts .chart { min-width: 0; }
.chart .name { font-size: 14px; }
.chart .unit, .chart .tick { font-size: 12px; }
.chart .unit { fill: var(--soft); }
.zero { stroke: var(--text); stroke-width: 1.2; }
.line.dashed { stroke-dasharray: 5 4; stroke-width: 1.4; }
.asked { stroke: var(--good); stroke-width: 1.2; stroke-dasharray: 8 3 2 3; }
.asked-label, .bad-level-label {
  paint-order: stroke; stroke: var(--ground); stroke-width: 3px; stroke-linejoin: round;
}
.chart .asked-label { fill: var(--good); }
.bad-level { stroke: var(--bad); stroke-width: 1.2; stroke-dasharray: 8 3 2 3; }
.chart .bad-level-label { fill: var(--bad); }
.whisker { stroke-width: 5; opacity: .3; }
@media (max-width: 720px) { th { white-space: normal; } td, th { padding-right: 9px; } }
"""

_COLOURS = "\n".join(
    f".line.v{number}, .whisker.v{number} {{ stroke: var(--v{number}); }}\n"
    f".mark.v{number}, .area.v{number} {{ fill: var(--v{number}); }}"
    for number in range(6)
)

STYLE = f"{SHARED.rstrip()}{_OWN}{_COLOURS}\n"
