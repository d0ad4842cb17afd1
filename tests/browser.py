"""A real Chromium that shows pages and says what it measured; none is no failure."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MISSING = "there is no Chromium here; on Debian: apt-get install chromium"
PATIENCE_SECONDS = 90

_MEASURE = """
for (const [name, text] of Object.entries(PAGES)) {
 const page = document.createElement("iframe");
 Object.assign(page, {width: WIDTH, height: 900, style: "border:0"});
 page.onload = () => {
  const d = page.contentDocument, w = page.contentWindow;
  const lum = c => { const v = c.match(/[0-9.]+/g).map(Number).slice(0, 3)
    .map(x => { x /= 255; return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
  const ground = e => { for (; e; e = e.parentElement) {
    const c = w.getComputedStyle(e).backgroundColor;
    if (!/, 0\\)$/.test(c) && c !== "transparent") return c; } return "rgb(255, 255, 255)"; };
  const contrast = (a, b) => { const [x, y] = [lum(a), lum(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05); };
  const texts = [...d.querySelectorAll("svg.chart text")];
  const cut = texts.filter(t => { const r = t.getBoundingClientRect(),
    s = t.ownerSVGElement.getBoundingClientRect();
    return r.left < s.left - 1 || r.right > s.right + 1 || r.top < s.top - 1 ||
      r.bottom > s.bottom + 1; }).map(t => t.textContent);
  const overlaps = [];
  for (const svg of d.querySelectorAll("svg.chart")) {
    const own = [...svg.querySelectorAll("text.tick, text.name, text.unit")];
    for (let i = 0; i < own.length; i++) for (let k = i + 1; k < own.length; k++) {
      const a = own[i].getBoundingClientRect(), b = own[k].getBoundingClientRect();
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 &&
          b.top < a.bottom - 3) overlaps.push([own[i].textContent, own[k].textContent]);
    }
  }
  const words = [...d.querySelectorAll("h1, h2, p, dt, dd, td, th, li, figcaption, .pill, code")]
    .filter(e => e.textContent.trim());
  const fact = d.querySelector(".facts");
  const out = document.createElement("pre");
  out.className = "out";
  out.textContent = JSON.stringify({ name,
    width: d.documentElement.scrollWidth, height: d.documentElement.scrollHeight,
    charts: d.querySelectorAll("svg.chart").length,
    smallest: Math.min(...texts.map(t => t.getBoundingClientRect().height), 99), cut, overlaps,
    contrast: Math.min(...words.map(e => contrast(w.getComputedStyle(e).color, ground(e)))),
    dark: lum(ground(d.body)) < 0.2,
    first: fact ? fact.getBoundingClientRect().top : null,
  });
  document.body.append(out);
 };
 page.srcdoc = text;
 document.body.append(page);
}
"""


def chromium() -> str | None:
    """The command of an installed Chromium; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def measured(
    pages: Mapping[str, str], folder: Path, *, width: int, dark: bool = False
) -> dict[str, dict[str, Any]]:
    """What Chromium makes of pages in a window of some width, in CSS pixels, by their names.

    Each page is shown as it is, inside a frame that measures it from outside. `console` has what
    the browser complained about, of all of them.
    """
    texts = json.dumps(pages).replace("</", "<\\/")
    script = _MEASURE.replace("WIDTH", str(width)).replace("PAGES", texts)
    frame = folder / "frame.html"
    frame.write_text(
        f"<!doctype html><meta charset=utf-8><body style='margin:0'><script>{script}</script>",
        encoding="utf-8",
    )
    command = chromium()
    assert command is not None, MISSING
    done = subprocess.run(
        [
            command,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={folder / 'profile'}",
            "--enable-logging=stderr",
            "--virtual-time-budget=3000",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--window-size={max(width, 500)},1000",
            "--dump-dom",
            frame.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    outs = re.findall(r'<pre class="out">(.*?)</pre>', done.stdout, re.DOTALL)
    assert len(outs) == len(pages), done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    found = [json.loads(html.unescape(out)) for out in outs]
    return {one.pop("name"): one | {"console": console} for one in found}
