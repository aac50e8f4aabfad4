"""The look of the report page, light and dark, wide and narrow."""

STYLE = """
:root { --paper: #ffffff; --ink: #1c2128; --soft: #59636e; --line: #d6dbe1; --band: #f4f6f8; --accent: #0a6f9e;
  --alert: #a8470a; --good: #24762f; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171c; --ink: #e2e6ea; --soft: #9aa4af; --line: #2f363e; --band: #1c2127; --accent: #4dbdf0;
    --alert: #f0a35e; --good: #6cc97a; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: break-word;
  -webkit-text-size-adjust: 100%;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 48px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 36px 0 10px; }
h3 { font-size: 15px; margin: 16px 0 4px; overflow-wrap: anywhere; }
.lead, footer { color: var(--soft); margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 40px; font-size: 13px; }
.alert { color: var(--alert); border-left: 3px solid var(--alert); padding: 2px 12px; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; }
td, th { padding: 5px 16px 5px 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  font-weight: normal; }
thead th { color: var(--soft); font-size: 13px; }
.numbers { width: 100%; font-size: 14px; }
.numbers tbody th { width: 34%; min-width: 112px; }
.numbers thead tr + tr th { width: 11%; }
.numbers td, .numbers thead th { font-variant-numeric: tabular-nums; white-space: nowrap; }
.numbers .after { color: var(--accent); font-weight: 600; }
.pairs { width: 100%; table-layout: fixed; }
.pairs td, .pairs th { overflow-wrap: anywhere; }
.pairs th { width: 34%; }
video, img { display: block; max-width: 100%; margin: 0 0 12px; border-radius: 4px; }
video { width: 100%; height: auto; background: #000; }
img.wide { width: 100%; }
img.plot { border-radius: 0; }
ul { padding-left: 22px; margin: 0; }
li { margin: 3px 0; overflow-wrap: anywhere; }
ul.good { list-style: "\\2713\\00a0\\00a0"; }
ul.good li::marker { color: var(--good); font-weight: 700; }
ul.poor { list-style: "!\\00a0\\00a0\\00a0"; }
ul.poor li::marker { color: var(--alert); font-weight: 700; }
a { color: var(--accent); }
details { margin-top: 14px; }
summary { cursor: pointer; color: var(--soft); padding: 4px 0; }
summary h3 { display: inline; color: var(--ink); margin: 0; }
details .pairs { margin-top: 10px; font-size: 13px; }
@media (max-width: 640px) {
  main { padding: 20px 16px 40px; }
  img.wide { width: 720px; max-width: none; }
  td, th { padding-right: 12px; }
  .pairs, .pairs tbody, .pairs tr, .pairs th, .pairs td { display: block; width: auto; }
  .pairs th { border-bottom: 0; padding-bottom: 0; }
}
"""
