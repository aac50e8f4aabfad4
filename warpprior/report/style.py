"""The look of the report page, light and dark."""

STYLE = """
:root { --paper: #ffffff; --ink: #1c2128; --soft: #59636e; --line: #d6dbe1; --band: #f4f6f8; --accent: #0b7fb3;
  --alert: #a8470a; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171c; --ink: #e2e6ea; --soft: #9aa4af; --line: #2f363e; --band: #1c2127; --accent: #4dbdf0;
    --alert: #f0a35e; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 48px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 36px 0 10px; }
.lead, footer { color: var(--soft); margin: 0; }
footer { margin-top: 40px; font-size: 13px; }
.alert { color: var(--alert); border-left: 3px solid var(--alert); padding: 2px 12px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
td, th { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  font-weight: normal; overflow-wrap: anywhere; }
thead th { color: var(--soft); font-size: 13px; }
.numbers { width: 100%; }
.numbers td { font-variant-numeric: tabular-nums; white-space: nowrap; }
.numbers .after { color: var(--accent); font-weight: 600; }
video, img { display: block; max-width: 100%; margin: 0 0 12px; border-radius: 4px; }
video { width: 100%; background: #000; }
img.plot { width: 100%; border-radius: 0; }
.notes { padding-left: 20px; margin: 0; }
a { color: var(--accent); }
details { margin-top: 28px; }
summary { cursor: pointer; color: var(--soft); }
details table { margin-top: 10px; font-size: 13px; }
"""
