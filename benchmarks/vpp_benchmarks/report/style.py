"""Style and script of the report. Colours: Okabe and Ito 2008, told apart with every kind of colour blindness."""

from __future__ import annotations

import re

COLORS = """
:root{--paper:#fff;--ink:#1c1e21;--soft:#5c636b;--rule:#dfe3e8;--panel:#f6f7f9;--none:#eceff2;
--c0:#0072b2;--c1:#e69f00;--c2:#009e73;--c3:#b4609a;--c4:#d55e00;--c5:#56b4e9;--c6:#8a8000;--c7:#777}
@media (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e8eaed;--soft:#a3abb4;--rule:#333a41;--panel:#1d2226;
--none:#262c31;--c0:#4aa3df;--c1:#f0b030;--c2:#2bbf95;--c3:#d58cbe;--c4:#f0803c;--c5:#7cc8f2;--c6:#d9cf3f;--c7:#a0a0a0}}
"""
"""Variables of both themes."""

PAGE = """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,main{max-width:1060px;margin:0 auto;padding:0 18px}
header{padding-top:22px}
h1{font-size:26px;margin:0 0 6px;overflow-wrap:anywhere}
h2{font-size:19px;margin:0 0 10px}
h3{font-size:15px;margin:14px 0 6px}
section{padding:22px 0;border-top:1px solid var(--rule)}
nav{display:flex;flex-wrap:wrap;gap:4px 16px;padding:8px 0 16px;font-size:14px}
a{color:var(--c0)}
.chips{display:flex;flex-wrap:wrap;gap:6px;list-style:none;margin:0;padding:0}
.chips li{background:var(--panel);border:1px solid var(--rule);border-radius:12px;padding:1px 10px;font-size:13px}
details{margin:10px 0}
summary{cursor:pointer}
pre{background:var(--panel);padding:10px;overflow-x:auto;font-size:12px}
ul{padding-left:20px}
@media (max-width:600px){body{font-size:14px}header,main{padding-left:12px;padding-right:12px}h1{font-size:21px}}
@media print{:root{--paper:#fff;--ink:#000;--soft:#444;--rule:#ccc;--panel:#fff;--none:#eee;--c0:#0072b2;--c1:#e69f00;
--c2:#009e73;--c3:#b4609a;--c4:#d55e00;--c5:#56b4e9;--c6:#8a8000;--c7:#777}
.noprint{display:none}body{font-size:10.5pt}section{break-inside:auto}figure,tr,h2,h3{break-inside:avoid}
h2,h3{break-after:avoid}.wide{overflow:visible}table{font-size:8.5pt}.grid2{grid-template-columns:1fr 1fr}
.n{white-space:normal}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
"""What is around the parts: the page, and print."""

PARTS = """
.note{color:var(--soft);font-size:13px;margin:6px 0}
.wide{overflow-x:auto;margin:8px 0}
table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums;min-width:100%}
th{text-align:left;font-weight:600;color:var(--soft);border-bottom:2px solid var(--rule);vertical-align:bottom}
th,td{padding:4px 10px 4px 0}
td{border-bottom:1px solid var(--rule);vertical-align:top}
.n{text-align:right;padding-left:10px;white-space:nowrap}
th.n{white-space:normal}
td:not(.n){min-width:5em}
.grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:8px 28px;align-items:start}
.grid2>*{min-width:0}
figure{margin:0 0 10px}
figcaption{font-weight:600;font-size:14px}
svg{width:100%;max-width:560px;height:auto;display:block}
svg text{fill:var(--ink);font-size:12px;font-family:inherit}
svg .tick{fill:var(--soft);font-size:11px}
svg .name{fill:var(--soft);font-size:12px}
svg .mid{text-anchor:middle}
svg .end{text-anchor:end}
.grid{stroke:var(--rule);stroke-width:1}
.axis,.zero{stroke:var(--soft);stroke-width:1}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}
.line.thin{stroke-width:1;stroke-dasharray:1 3}
.line.dash{stroke-dasharray:4 3}
.ink{stroke:var(--ink);color:var(--ink)}
.grey{stroke:var(--c7);color:var(--c7)}
.ceiling{stroke:var(--c6);fill:var(--c6);color:var(--c6)}
.area{stroke:none;fill:currentColor}
.area.soft,.key.soft{opacity:.28}
.dot{fill:currentColor;stroke:var(--paper);stroke-width:1.5}
.ring{fill:var(--paper);stroke:currentColor;stroke-width:2.4}
.line{stroke:currentColor}
.cell{fill:currentColor}
.none.cell{fill:var(--none)}
.c0{color:var(--c0)}.c1{color:var(--c1)}.c2{color:var(--c2)}.c3{color:var(--c3)}
.c4{color:var(--c4)}.c5{color:var(--c5)}.c6{color:var(--c6)}.c7{color:var(--c7)}
.zero{color:var(--soft)}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;list-style:none;margin:4px 0 0;padding:0;font-size:12.5px;
color:var(--soft)}
.key{display:inline-block;width:14px;height:10px;margin-right:5px;background:currentColor;vertical-align:baseline}
.key.line,.key.dash{height:0;background:none;border-top:2px solid;vertical-align:middle}
.key.dash{border-top-style:dashed}
.key.dot,.key.ring{width:10px;height:10px;border-radius:50%}
.key.ring{background:none;border:2px solid}
.buttons{display:flex;flex-wrap:wrap;gap:6px;margin:6px 0}
button,select{font:inherit;font-size:13.5px;color:var(--ink);background:var(--panel);border:1px solid var(--rule);
border-radius:6px;padding:3px 10px}
button[aria-pressed=false]{opacity:.5}
"""
"""Tables and charts; the dashboard shows them inside a page of its own, see `scoped`."""

STYLE = COLORS + PARTS + PAGE


def scoped(scope: str) -> str:
    """Return colours and parts, the rules of the parts for what lies inside `scope` (a selector) only."""
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", PARTS)
    inside = "".join(
        f"{','.join(f'{scope} {one.strip()}' for one in selectors.split(','))}{{{body}}}" for selectors, body in rules
    )
    return COLORS + inside


SCRIPT = """
document.querySelectorAll('[data-panel]').forEach(function(b){b.addEventListener('click',function(){
var p=document.getElementById(b.dataset.panel);
p.hidden=!p.hidden;b.setAttribute('aria-pressed',String(!p.hidden));});});
document.querySelectorAll('select[data-group]').forEach(function(s){s.addEventListener('change',function(){
document.querySelectorAll('.'+s.dataset.group).forEach(function(e){e.hidden=e.id!==s.value;});});});
"""
