"""The style of the page: dark, light and paper; no fonts or images but the reader's own."""

STYLE = """
:root { color-scheme: light dark;
  --back: #ffffff; --card: #f6f7f9; --text: #1b1f24; --soft: #555e69; --rule: #d5dae1;
  --grid: #e3e7ec; --link: #0b5cad; --good: #1a6b34; --bad: #b3261e; --warn: #8a5300;
  --c1: #1f6feb; --c2: #b3541e; --c3: #6b4fbb; --c4: #b3261e; }
@media (prefers-color-scheme: dark) { :root {
  --back: #14171c; --card: #1d2229; --text: #e7eaee; --soft: #a3adb9; --rule: #39414c;
  --grid: #2a3038; --link: #7db8ff; --good: #6fcf8c; --bad: #ff8f87; --warn: #f0b457;
  --c1: #6aa9ff; --c2: #f0a070; --c3: #b9a3ff; --c4: #ff8f87; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
header, main, footer { max-width: 58rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .75rem; padding-top: .75rem;
  border-top: 1px solid var(--rule); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 46rem; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, .wide:focus-visible {
  outline: 2px solid var(--link); outline-offset: 2px; }
code { font: .875em ui-monospace, "SFMono-Regular", "DejaVu Sans Mono", monospace;
  overflow-wrap: anywhere; unicode-bidi: isolate; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; padding: 0;
  margin: 1rem 0 0; font-size: .9375rem; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: 1rem; top: .5rem; background: var(--back); padding: .25rem .5rem; }
.soft, figcaption span, dt { color: var(--soft); }
.state { display: inline-block; padding: .125rem .625rem; border: 1.5px solid currentColor;
  border-radius: 1rem; font-size: .9375rem; font-weight: 600; margin: .75rem 0 .25rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr));
  gap: .75rem; margin: 1.25rem 0; }
.tiles div { background: var(--card); border: 1px solid var(--rule); border-radius: .5rem;
  padding: .625rem .875rem; display: flex; flex-direction: column-reverse;
  justify-content: flex-end; }
.tiles dt { font-size: .875rem; }
.tiles dd { margin: 0; font-size: 1.3125rem; font-weight: 600;
  font-variant-numeric: tabular-nums; }
dl.list { display: grid; gap: .25rem 1rem; margin: .5rem 0; }
dl.list div { display: grid; grid-template-columns: minmax(7rem, 11rem) 1fr; gap: 1rem; }
dl.list dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
caption { text-align: left; color: var(--soft); padding: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3125rem .75rem .3125rem 0;
  border-bottom: 1px solid var(--rule); font-weight: 400; }
thead th { font-weight: 600; white-space: nowrap; }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
thead th:first-child, tbody th { text-align: left; }
tbody th { min-width: 7rem; }
.bar { display: block; height: .625rem; min-width: 2px; background: var(--c1);
  border-radius: 2px; }
figure { margin: 1.5rem 0; }
figcaption { font-size: .9375rem; }
.legend { margin-left: 1rem; white-space: nowrap; }
.key { display: inline-block; width: .75rem; height: .75rem; border-radius: 2px;
  margin-right: .375rem; background: var(--c1); vertical-align: -.0625rem; }
.key.c2 { background: var(--c2); } .key.c3 { background: var(--c3); }
.key.c4 { background: var(--c4); }
svg { display: block; width: 100%; height: auto; color: var(--c1); }
svg .c2 { color: var(--c2); } svg .c3 { color: var(--c3); } svg .c4 { color: var(--c4); }
svg .curve { fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linejoin: round; }
svg .area { fill: currentColor; opacity: .16; }
svg .bars { fill: currentColor; }
svg .grid { stroke: var(--grid); stroke-width: 1; }
svg .tick { fill: var(--soft); font-size: 12px; }
details { margin: .5rem 0; font-size: .9375rem; }
summary { cursor: pointer; color: var(--link); width: fit-content; }
.cause { border-left: 4px solid var(--bad); padding: .125rem 0 .125rem 1rem; margin: 1.25rem 0; }
.cause h3 { margin-top: 0; }
ul.names { padding-left: 1.25rem; margin: .375rem 0; }
ul.names li { margin: .125rem 0; overflow-wrap: anywhere; }
footer { margin: 3rem auto 2rem; color: var(--soft); font-size: .875rem; }
@media (max-width: 40rem) {
  dl.list div { grid-template-columns: 1fr; gap: 0; }
  dl.list { gap: .625rem; }
  .tiles { grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); }
  svg .tick { font-size: 17px; } }
@media print {
  :root { color-scheme: light;
    --back: #fff; --card: #fff; --text: #000; --soft: #444; --rule: #bbb; --grid: #ddd;
    --link: #000; --good: #0b4d20; --bad: #8a1c16; --warn: #6b4000;
    --c1: #1550b0; --c2: #8f4012; --c3: #4d3596; --c4: #8a1c16; }
  body { font-size: 10.5pt; }
  header, main, footer { max-width: none; padding: 0; }
  nav, .skip, figure details { display: none; }
  h2, h3 { break-after: avoid; } figure, .tiles div, tr { break-inside: avoid; }
  .wide { overflow: visible; } a { text-decoration: none; } }
"""
