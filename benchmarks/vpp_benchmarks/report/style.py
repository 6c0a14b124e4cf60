"""Style and script of the report. Colours: Okabe and Ito 2008, told apart with every kind of colour blindness."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vpp_benchmarks.report.svg import colors

_LIGHT = """--c0:#0072b2;--c1:#e69f00;--c2:#009e73;--c3:#b4609a;--c4:#d55e00;--c5:#56b4e9;--c6:#8a8000;--c7:#777;
--c8:#4b3f9e;--c9:#8c2d4f;--c10:#5b8c2a;--top:#5c636b;--d0:#8fbcd8;--d1:#f2cd85;--d2:#c8a9d4;--d3:#a5d6bd;--d4:#e79a86;--d5:#5b6bb5;
--good:#00734f;--bad:#b3261e"""
_DARK = """--c0:#4aa3df;--c1:#f0b030;--c2:#2bbf95;--c3:#d58cbe;--c4:#f0803c;--c5:#7cc8f2;--c6:#d9cf3f;--c7:#a0a0a0;
--c8:#9d92f0;--c9:#e07a9f;--c10:#a3d16a;--top:#a3abb4;--d0:#4f7f9c;--d1:#a88338;--d2:#83658f;--d3:#4d8a6b;--d4:#a85a48;--d5:#8f9be0;
--good:#4fd1a5;--bad:#ff8a80"""
LIGHT = dict(re.findall(r"--(\w+):(#\w+)", _LIGHT))
"""The light theme's colours by CSS class."""


def light_colors(labels: Iterable[str]) -> dict[str, str]:
    """Return every policy's colour by label, for pictures without a style sheet: those of `svg.colors`."""
    return {label: LIGHT[css] for label, css in colors(labels).items()}


COLORS = (
    ":root{--paper:#fff;--ink:#1c1e21;--soft:#5c636b;--rule:#dfe3e8;--panel:#f6f7f9;--none:#eceff2;" + _LIGHT + "}"
    "@media (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e8eaed;--soft:#a3abb4;--rule:#333a41;"
    "--panel:#1d2226;--none:#262c31;" + _DARK + "}}"
)
"""Variables of both themes: c are policies, d what the fleet's devices and products do, top ceilings."""

PAGE = (
    """
*{box-sizing:border-box}
html{scroll-padding-top:46px}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,main{max-width:1320px;margin:0 auto;padding:0 20px}
header{padding-top:14px;display:flex;flex-wrap:wrap;gap:2px 16px;align-items:baseline}
h1{font-size:22px;margin:0;overflow-wrap:anywhere}
h2{font-size:20px;margin:0 0 8px}
h3{font-size:15px;margin:16px 0 6px}
section{padding:20px 0;border-top:1px solid var(--rule)}
#answer{border-top:0;padding-top:10px}
nav{position:sticky;top:0;z-index:2;background:var(--paper);border-bottom:1px solid var(--rule)}
nav div{max-width:1320px;margin:0 auto;padding:7px 20px;display:flex;gap:4px 13px;font-size:13.5px;overflow-x:auto;
white-space:nowrap;scrollbar-width:thin}
@media (min-width:641px){nav div{flex-wrap:wrap}html{scroll-padding-top:72px}}
nav a{text-decoration:none}
nav a:hover{text-decoration:underline}
a{color:var(--c0)}
.chips{display:flex;flex-wrap:wrap;gap:0 14px;list-style:none;margin:0;padding:0;color:var(--soft);font-size:12.5px}
details{margin:10px 0}
summary{cursor:pointer}
pre{background:var(--panel);padding:10px;overflow-x:auto;font-size:12px}
@media (max-width:640px){body{font-size:14px}header,main,nav div{padding-left:12px;padding-right:12px}h1{font-size:19px}
h2{font-size:18px}}
@media print{:root{--paper:#fff;--ink:#000;--soft:#444;--rule:#ccc;--panel:#fff;--none:#eee;"""
    + _LIGHT
    + """}
.noprint{display:none!important}body{font-size:10.5pt}section{break-inside:auto}figure,tr,h2,h3{break-inside:avoid}
h2,h3{break-after:avoid}pre{white-space:pre-wrap;overflow-wrap:anywhere;columns:3}.wide{overflow:visible;background:none}table{font-size:8pt}th,td{padding-right:4px}
.n{white-space:normal;padding-left:4px}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
)
"""What is around the parts: the page, and print."""

PARTS = """
.note{color:var(--soft);font-size:13px;margin:6px 0}
.lead{font-size:clamp(16px,2.4vw,19px);line-height:1.35;margin:2px 0 8px;max-width:62em;font-weight:600}
.said{margin:4px 0 10px;padding-left:18px;max-width:76em}
.said li{margin:2px 0}
.two{columns:2 30em;column-gap:30px;max-width:none}
.two li{break-inside:avoid}
.who{white-space:nowrap}
.wide{overflow-x:auto;margin:8px 0;scrollbar-width:thin;
background:linear-gradient(90deg,var(--paper) 40%,transparent) 0 0/46px 100% no-repeat local,
linear-gradient(270deg,var(--paper) 40%,transparent) 100% 0/46px 100% no-repeat local,
linear-gradient(90deg,var(--soft),transparent) 0 0/9px 100% no-repeat scroll,
linear-gradient(270deg,var(--soft),transparent) 100% 0/9px 100% no-repeat scroll}
table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums;min-width:100%}
th{text-align:left;font-weight:600;color:var(--soft);border-bottom:2px solid var(--rule);vertical-align:bottom}
th,td{padding:4px 10px 4px 0}
td{border-bottom:1px solid var(--rule);vertical-align:top}
.n{text-align:right;padding-left:10px;white-space:nowrap}
th.n{white-space:normal}
td:not(.n){min-width:5em}
.first{display:grid;grid-template-columns:minmax(0,9fr) minmax(0,14fr);gap:4px 30px;align-items:start}
.first .said{grid-column:1/-1}
.first td,.first th,.tight td,.tight th{padding-right:5px}.first .n,.tight .n{padding-left:5px}
.grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:8px 28px;align-items:start}
.grid3{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,360px),1fr));gap:8px 24px;align-items:start}
.gridw{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,520px),1fr));gap:8px 28px;align-items:start}
.grid2>*,.grid3>*,.gridw>*,.first>*{min-width:0}
figure{margin:0 0 10px}
figcaption{font-weight:600;font-size:14px}
svg{width:100%;max-width:620px;height:auto;display:block}
svg text{fill:var(--ink);font-size:12px;font-family:inherit}
svg .tick{fill:var(--soft);font-size:11px}
svg .name{fill:var(--soft);font-size:12px}
svg .strong{font-weight:600}
svg .mid{text-anchor:middle}
svg .end{text-anchor:end}
.grid{stroke:var(--rule);stroke-width:1}
.axis,.zero{stroke:var(--soft);stroke-width:1}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}
.line.thin{stroke-width:1;stroke-dasharray:1 3}
.line.dash{stroke-dasharray:4 3}
.line.thick{stroke-width:2.6}
.line.whisker{stroke-width:1.4}
.ink{stroke:var(--ink);color:var(--ink)}
.grey{stroke:var(--c7);color:var(--c7)}
.ceiling{stroke:var(--top);fill:var(--top);color:var(--top)}
.area{stroke:none;fill:currentColor}
.area.soft,.key.soft{opacity:.28}
.dot{fill:currentColor;stroke:var(--paper);stroke-width:1.5}
.dot.faint{opacity:.55;stroke-width:.5}
.ring{fill:var(--paper);stroke:currentColor;stroke-width:2.4}
.line{stroke:currentColor}
.cell{fill:currentColor}
.none.cell{fill:var(--none)}
.c0{color:var(--c0)}.c1{color:var(--c1)}.c2{color:var(--c2)}.c3{color:var(--c3)}.c4{color:var(--c4)}.c5{color:var(--c5)}
.c6{color:var(--c6)}.c7{color:var(--c7)}.c8{color:var(--c8)}.c9{color:var(--c9)}.c10{color:var(--c10)}
.d0{color:var(--d0)}.d1{color:var(--d1)}.d2{color:var(--d2)}.d3{color:var(--d3)}.d4{color:var(--d4)}.d5{color:var(--d5)}
.zero{color:var(--soft)}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;list-style:none;margin:4px 0 0;padding:0;font-size:12.5px;
color:var(--soft)}
.key{display:inline-block;width:14px;height:10px;margin-right:5px;background:currentColor;vertical-align:baseline}
.key.line,.key.dash{height:0;background:none;border-top:2px solid;vertical-align:middle}
.key.dash{border-top-style:dashed}
.key.dot,.key.ring{width:10px;height:10px;border-radius:50%}
.key.ring{background:none;border:2px solid}
.figures{display:flex;flex-wrap:wrap;gap:6px 26px;margin:6px 0 12px}
.figures b{display:block;font-size:17px;font-weight:600}
.figures span{color:var(--soft);font-size:12.5px}
.narrow{max-width:640px}
.talk{max-width:56em}
.bubble{background:var(--panel);border:1px solid var(--rule);border-radius:10px;padding:5px 10px;margin:5px 15% 5px 0;
overflow-wrap:anywhere;white-space:pre-wrap}
.bubble.owner{margin:5px 0 5px 15%;background:var(--none)}
.bubble span{display:block;color:var(--soft);font-size:12px}
.buttons{display:flex;flex-wrap:wrap;gap:6px 10px;margin:6px 0;align-items:center}
button,select,input{font:inherit;font-size:13.5px;color:var(--ink);background:var(--panel);border:1px solid var(--rule);
border-radius:6px;padding:3px 10px;max-width:100%}
button[aria-pressed=false]{opacity:.5}
@media (max-width:1100px){.first{grid-template-columns:minmax(0,1fr) minmax(0,1fr)}.first .said{grid-column:2;
grid-row:1}.first>:nth-child(2){grid-column:1/-1}.two{columns:auto}}
@media (min-width:641px) and (max-width:1100px){table{font-size:12px}th,td{padding-right:5px}.n{padding-left:5px}
td:not(.n){min-width:4em}}
@media (max-width:640px){svg text{font-size:13.5px}svg .tick{font-size:12.5px}svg .name{font-size:13px}}
@media (max-width:360px){svg text,svg .tick,svg .name{font-size:14.5px}}
@media (max-width:760px){.first{grid-template-columns:minmax(0,1fr)}.first .said{grid-column:1;grid-row:2}}
@media (max-width:640px){table.cards thead{display:none}table.cards,table.cards tbody{display:block}
table.cards tr{display:grid;grid-template-columns:1fr 1fr;gap:0 14px;padding:7px 0;border-bottom:1px solid var(--rule)}
table.cards td{border:0;padding:1px 0;display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 8px;
white-space:normal;min-width:0}
table.cards td[data-l]:before{content:attr(data-l);color:var(--soft);text-align:left}
table.cards td:not(.n){grid-column:1/-1}
table.cards td:first-child{grid-column:1/-1;font-weight:600;justify-content:flex-start}}
"""
"""Tables and charts; the dashboard shows them inside a page of its own, see `scoped`."""

STYLE = COLORS + PARTS + PAGE


def scoped(scope: str) -> str:
    """Return colours and parts, the rules of the parts for what lies inside `scope` (a selector) only."""
    return f"{COLORS}{scope}{{{PARTS}}}"


SCRIPT = """
var folded=[];
addEventListener('beforeprint',function(){folded=[].slice.call(document.querySelectorAll('details:not([open])'));
folded.forEach(function(d){d.open=true;});});
addEventListener('afterprint',function(){folded.forEach(function(d){d.open=false;});});
document.querySelectorAll('[data-panel]').forEach(function(b){b.addEventListener('click',function(){
var p=document.getElementById(b.dataset.panel);
p.hidden=!p.hidden;b.setAttribute('aria-pressed',String(!p.hidden));});});
document.querySelectorAll('.pages').forEach(function(box){
var packs=box.querySelectorAll('script'),which=box.querySelector('select.which'),name=box.querySelector('select.name'),
out=box.querySelector('.page'),read={};
function load(){var k=which?which.selectedIndex:0;return read[k]||(read[k]=new Response(new Blob([Uint8Array.from(
atob(packs[k].textContent),function(c){return c.charCodeAt(0);})]).stream().pipeThrough(
new DecompressionStream('gzip'))).text().then(function(t){return t.split('\\x1e');}));}
function show(){return load().then(function(p){out.innerHTML=p[+name.value];});}
function turn(step){name.selectedIndex=Math.max(0,Math.min(name.length-1,name.selectedIndex+step));show();}
function key(){return name.options[name.selectedIndex].text.split(' (')[0];}
name.addEventListener('change',show);
box.querySelector('.back').addEventListener('click',function(){turn(-1);});
box.querySelector('.next').addEventListener('click',function(){turn(1);});
if(which)which.addEventListener('change',function(){var kept=key();load().then(function(p){name.innerHTML=p[0];
for(var j=0;j<name.length;j++)if(name.options[j].text.split(' (')[0]===kept)name.selectedIndex=j;show();});});});
"""
