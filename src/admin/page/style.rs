//! The style sheet, which stands in each page: nothing is loaded from elsewhere.

/// Colours are told apart by words, marks and shapes too.
pub(super) const STYLE: &str = "
:root{color-scheme:light dark;--good:#1a7f37;--warn:#8a5a00;--bad:#cf222e;--idle:#616a73;--line:color-mix(in srgb,currentColor 15%,transparent);--empty:#c4c9cf;--link:#0550ae;--ground:#fff;--ink:#1f2328}
@media(prefers-color-scheme:dark){:root{--good:#3fb950;--warn:#d29922;--bad:#ff7b72;--idle:#9aa3ad;--empty:#3d444d;--link:#79b8ff;--ground:#14171a;--ink:#e6e9ec}}
html{background:var(--ground);color:var(--ink)}
*{box-sizing:border-box}body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:76rem;padding:1rem 1.25rem}
a{color:var(--link)}a:focus-visible,[tabindex]:focus-visible{outline:2px solid currentColor;outline-offset:2px}
header{display:flex;align-items:baseline;gap:.3rem 1rem;flex-wrap:wrap}header p{margin:0}h1{font-size:1.3rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.05rem;margin:1.75rem 0 .5rem}h3{font-size:1rem;margin:0;overflow-wrap:anywhere}
.headline{font-size:1.15rem;margin:.5rem 0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.4rem .9rem .4rem 0;border-top:1px solid var(--line)}
thead th{border:0;font-weight:600;font-size:.85rem;color:var(--idle)}tbody th{font-weight:600;overflow-wrap:anywhere}
.num{font-variant-numeric:tabular-nums;white-space:nowrap;font-size:.9rem}.dim{color:var(--idle);font-size:.88rem;font-weight:400}
.evidence{font-size:.88rem;overflow-wrap:anywhere}
.mark::before{margin-right:.35em;font-weight:700}.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}.idle{color:var(--idle)}
.good::before{content:'✓'}.warn::before{content:'!'}.bad::before{content:'✗'}.idle::before{content:'…'}
.banner{margin:.5rem 0;padding:.5rem .8rem;border-left:.3rem solid var(--idle)}.calm{color:var(--idle);font-size:.88rem}.alarm{border-color:var(--bad)}
.reg{display:grid;grid-template-columns:14rem 1fr;gap:.3rem 1.5rem;border-top:1px solid var(--line);padding:.8rem 0}
.reg>*{min-width:0}.reg .facts{grid-column:2}
figure{margin:0}figcaption{font-size:.85rem;color:var(--idle);overflow-wrap:anywhere}
.strip{display:block;width:100%;height:1.5rem}.e{fill:var(--empty)}.g{fill:var(--good)}.w{fill:var(--warn)}.b{fill:var(--bad)}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.4rem 1rem;margin:.2rem 0}.facts dt{font-size:.8rem;color:var(--idle)}.facts dd{margin:0;font-size:.92rem;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.fall{width:100%;font:12px system-ui,sans-serif;display:block}.fall text{fill:currentColor}.axis{stroke:var(--line)}.wait{fill:var(--warn)}.first{fill:url(#hatch);stroke:var(--link)}.move{fill:var(--link)}.hatch{stroke:var(--link);stroke-width:2}
footer{margin-top:2rem;font-size:.88rem}footer p{margin:.2rem 0}
.plain{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.2rem}.plain dd{margin:0;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
@media(max-width:44rem){.reg{grid-template-columns:1fr}.reg .facts{grid-column:1}
.stack thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}.stack tr{display:flex;flex-wrap:wrap;gap:0 .9rem;padding:.4rem 0;border-top:1px solid var(--line)}.stack th,.stack td{border:0;padding:0}.stack tbody th{flex-basis:100%}.num{white-space:normal}}
";
