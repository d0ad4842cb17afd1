"""The look of the HTML page: one style sheet, light and dark, nothing from outside.

The colours of the slots are from Okabe and Ito's set, which people with any kind of colour
blindness can tell apart; lighter ones take their place on a dark ground.
"""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --panel: #f5f6f8; --text: #1a1d21; --soft: #59616b; --rule: #d9dde2;
  --blue: #0072b2; --green: #00845f; --bad: #b3261e; --good: #0b6b45; --wait: #8a5a00;
  --bad-ground: #fdecea; --good-ground: #e6f4ec; --wait-ground: #fff4de;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --panel: #1e2226; --text: #e8eaed; --soft: #a4acb6; --rule: #363c43;
    --blue: #56b4e9; --green: #2fd3a0; --bad: #ff8a80; --good: #6fd6a3; --wait: #f0b95a;
    --bad-ground: #3b1d1b; --good-ground: #16322a; --wait-ground: #37290f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1060px; margin: 0 auto; padding: 20px 24px 64px; }
h1 { font-size: 27px; line-height: 1.25; margin: 4px 0 10px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 38px 0 10px; padding-top: 12px; border-top: 1px solid var(--rule); }
h3 { font-size: 15px; margin: 20px 0 6px; }
p { margin: 0 0 10px; max-width: 78ch; }
code, .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 13px; }
code { overflow-wrap: anywhere; }
.kicker { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.pill {
  display: inline-block; padding: 1px 10px; border-radius: 99px; font-weight: 600; font-size: 13px;
  margin-right: 8px;
}
.bad { color: var(--bad); background: var(--bad-ground); }
.good { color: var(--good); background: var(--good-ground); }
.wait { color: var(--wait); background: var(--wait-ground); }
.summary { font-size: 17px; margin-bottom: 18px; }
.facts { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px; margin: 0; }
.facts > div {
  background: var(--panel); border: 1px solid var(--rule); border-radius: 8px; padding: 10px 14px;
}
.facts dt { color: var(--soft); font-size: 13px; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.facts .big { font-size: 20px; font-weight: 650; line-height: 1.3; }
.facts .wide { grid-column: 1 / -1; }
ol.next { margin: 4px 0 0; padding-left: 22px; }
ol.next li { margin-bottom: 4px; }
ol.next code {
  display: block; width: fit-content; background: var(--ground); border: 1px solid var(--rule);
  border-radius: 5px; padding: 1px 8px; margin-top: 2px;
}
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; margin: 4px 0 12px; }
th, td { text-align: left; padding: 4px 12px 4px 0; vertical-align: top; }
td { border-top: 1px solid var(--rule); overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 500; font-size: 13px; white-space: nowrap; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.t { font-variant-numeric: tabular-nums; white-space: nowrap; }
td.v { min-width: 14ch; }
td.p { min-width: 30ch; }
details { margin: 8px 0; }
summary { cursor: pointer; color: var(--soft); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 22px; font-size: 14px; margin-bottom: 6px; }
.legend span { display: inline-flex; align-items: center; gap: 7px; }
.sample { width: 34px; height: 10px; }
.key { width: 3px; height: 14px; }
.chart { display: block; width: 100%; height: auto; margin: 6px 0; }
.chart text { font-size: 11px; fill: var(--soft); }
.chart .name { font-size: 13px; font-weight: 600; fill: var(--text); }
.chart .unit { font-size: 11px; font-weight: 400; fill: var(--soft); }
.grid { stroke: var(--rule); stroke-width: 1; }
.axis { stroke: var(--soft); stroke-width: 1; }
.line { fill: none; stroke-width: 2; }
.line.old { stroke-dasharray: 6 4; }
.line.blue { stroke: var(--blue); }
.line.green { stroke: var(--green); }
.mark.blue, .area.blue { fill: var(--blue); }
.mark.green, .area.green { fill: var(--green); }
.area { opacity: .16; }
.shift { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; }
.back { stroke: var(--bad); stroke-width: 1.6; }
.chart .back-label { fill: var(--bad); font-weight: 600; }
.limit { stroke: var(--wait); stroke-width: 1.2; stroke-dasharray: 8 3 2 3; }
.chart .limit-label { fill: var(--wait); }
.swatch-blue { color: var(--blue); }
.swatch-green { color: var(--green); }
.note { color: var(--soft); font-size: 13px; }
@media (max-width: 720px) {
  .facts { grid-template-columns: 1fr; }
  .chart { min-width: 600px; }
  main { padding: 14px 14px 48px; }
}
@media print { main { max-width: none; } .facts > div { break-inside: avoid; } }
"""
