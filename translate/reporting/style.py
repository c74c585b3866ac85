"""The style of the report: one column on phones, two on desktops, light or dark by the reader's preference."""

STYLE = """
:root {
  --page: #f6f7f9; --card: #ffffff; --ink: #1b2430; --soft: #5c6878; --rule: #e3e7ec; --bad: #b3261e;
  --c0: #2563c9; --c1: #d2601a; --c2: #12856b; --c3: #9b3fb0; --c4: #a87b00; --c5: #c2335b; --c6: #0b7f99;
  --c7: #66707e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1b2129; --ink: #e7ebf0; --soft: #98a4b3; --rule: #2c3541; --bad: #ff8a80;
    --c0: #6ea3f7; --c1: #f2945a; --c2: #4cc4a4; --c3: #cf8be0; --c4: #dcb54a; --c5: #f27d9c; --c6: #52bfd8;
    --c7: #a7b1be;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto,
  "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 40px 24px 56px; }
h1 { margin: 0 0 20px; font-size: 30px; line-height: 1.2; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { margin: 40px 0 14px; font-size: 19px; }
h3 { margin: 0 0 8px; font-size: 15px; }
.kind { margin: 0 0 4px; color: var(--soft); font-size: 13px; letter-spacing: 0.06em;
  text-transform: uppercase; }
dl { display: flex; flex-wrap: wrap; gap: 12px 40px; margin: 0; }
dt { color: var(--soft); font-size: 13px; }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.card, details { margin: 0; padding: 16px 18px; background: var(--card); border: 1px solid var(--rule);
  border-radius: 10px; }
.scroll { overflow-x: auto; }
.note, .soft, figcaption, footer { color: var(--soft); }
.note { margin: 0; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 12px; text-align: right; border-top: 1px solid var(--rule); }
thead th { border-top: 0; color: var(--soft); font-size: 13px; font-weight: 500; }
th:first-child { padding-left: 0; text-align: left; font-weight: 500; }
th:last-child, td:last-child { padding-right: 0; }
.samples, .charts { display: grid; gap: 18px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 480px), 1fr)); }
.samples .card { padding: 12px; }
.samples img { display: block; width: 100%; height: auto; margin: 0 auto; border-radius: 4px; }
figcaption { margin: 0 0 8px; font-size: 13px; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg svg { overflow: hidden; }
svg text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.grid { stroke: var(--rule); }
.axis { stroke: var(--soft); }
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); }
.c4 { --c: var(--c4); } .c5 { --c: var(--c5); } .c6 { --c: var(--c6); } .c7 { --c: var(--c7); }
.line path { fill: none; stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round; }
.line circle { fill: var(--c); }
.band { fill: var(--c); opacity: 0.16; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 10px 0 0; padding: 0; list-style: none;
  font-size: 13px; }
.legend i { display: inline-block; width: 14px; height: 3px; margin-right: 7px; border-radius: 2px;
  background: var(--c); vertical-align: middle; }
.legend b { font-variant-numeric: tabular-nums; }
.legend em { color: var(--bad); font-style: normal; }
summary { cursor: pointer; }
pre { margin: 12px 0 4px; overflow-x: auto;
  font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
footer { margin-top: 40px; font-size: 13px; }
"""
