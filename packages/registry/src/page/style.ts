/** The look of the page: one sheet, inside the page, known to its policy by its hash. */
export const STYLE = `
:root{color-scheme:light dark;
--bg:#f6f7f9;--card:#fff;--ink:#1c2330;--dim:#5c6677;--line:#e3e7ee;--head:#f0f3f8;--link:#0b57c2;--accent:#2f6fed;
--chip:#e8eefb;--chip-ink:#26448a;--code:#f2f4f8;--hover:#f7f9fd}
@media (prefers-color-scheme:dark){:root{
--bg:#0f1319;--card:#171c25;--ink:#e4e9f2;--dim:#97a2b5;--line:#28303d;--head:#1d2430;--link:#86b3ff;--accent:#5b8ffa;
--chip:#22304c;--chip-ink:#b9cffb;--code:#11161e;--hover:#1b222d}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:4px}
code,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.875em}
.skip{position:absolute;left:-999px;top:0;padding:.5rem 1rem;background:var(--card);z-index:2}.skip:focus{left:0}
.bar-top{background:var(--card);border-bottom:1px solid var(--line)}
.wrap{max-width:70rem;margin:0 auto;padding:0 1.25rem}
.bar-top .wrap{display:flex;align-items:center;gap:1rem;min-height:3.5rem}
.brand{display:flex;align-items:center;gap:.6rem;color:var(--ink);font-weight:650;letter-spacing:-.01em;white-space:nowrap}
.brand:hover{text-decoration:none}.brand svg{color:var(--accent);flex:none}
.who{margin-left:auto;color:var(--dim);font-size:.875rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
main.wrap{padding-top:1.5rem;padding-bottom:3rem}main:focus{outline:0}
.crumbs{font-size:.875rem;color:var(--dim)}.crumbs ol{list-style:none;display:flex;flex-wrap:wrap;gap:.4rem;margin:0;padding:0}
.crumbs li+li::before{content:"/";margin-right:.4rem;color:var(--line)}.crumbs li,h1{overflow-wrap:anywhere}
h1{font-size:1.65rem;line-height:1.25;letter-spacing:-.02em;margin:.35rem 0 .75rem;font-weight:680}
h1 .sep{color:var(--dim);font-weight:400}
h2{font-size:1.05rem;letter-spacing:-.01em;margin:2rem 0 .6rem}
h2 .count{color:var(--dim);font-weight:400;margin-left:.35rem}
.dim{color:var(--dim)}
.tools{display:flex;flex-wrap:wrap;align-items:center;gap:.75rem;margin:0 0 1rem}
.tools p{margin:0;color:var(--dim);font-size:.9rem}
.search{display:flex;gap:.5rem;flex:1 1 18rem;max-width:30rem}
input[type=search]{flex:1;min-width:0;font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.45rem .75rem}
button{font:inherit;font-size:.9rem;cursor:pointer;color:var(--ink);background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.45rem .85rem}
button:hover{background:var(--hover);border-color:var(--accent)}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;overflow:hidden}
.scroll{overflow-x:auto}
table{width:100%;border-collapse:collapse;font-size:.925rem}
th,td{text-align:left;padding:.6rem 1rem;border-bottom:1px solid var(--line);vertical-align:top}
thead th{background:var(--head);color:var(--dim);font-weight:600;font-size:.8rem;white-space:nowrap}
thead th a{color:inherit}thead th[aria-sort] a{color:var(--ink)}
tbody tr:last-child>*{border-bottom:0}tbody tr:hover{background:var(--hover)}
tbody th{font-weight:600;overflow-wrap:anywhere}
.num{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.tight{white-space:nowrap}.pairs th:first-child{width:32%}.pairs tbody th{font-weight:500}.wrapped,.pre{overflow-wrap:anywhere}.pre,.step code{white-space:pre-wrap}
.chips{display:flex;flex-wrap:wrap;gap:.3rem;margin:0;padding:0;list-style:none}
.chip{background:var(--chip);color:var(--chip-ink);border-radius:99px;padding:.05rem .6rem;font-size:.8rem;white-space:nowrap}
.copy{display:flex;align-items:stretch;gap:.5rem;margin:.5rem 0}
.copy code{flex:1;min-width:0;overflow-x:auto;white-space:nowrap;background:var(--code);border:1px solid var(--line);border-radius:8px;padding:.55rem .8rem;user-select:all}
.copy button{min-width:5rem}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:1rem 1.5rem;margin:1rem 0 0;padding:1rem}
.facts div{min-width:0}.facts .wide{grid-column:1/-1}
dt{color:var(--dim);font-size:.8rem}dd{margin:.1rem 0 0;overflow-wrap:anywhere}
.stack{display:block;width:100%;height:14px;border-radius:7px;margin:.25rem 0 1rem}
.swatch{display:inline-block;width:.7em;height:.7em;margin-right:.45em;vertical-align:0}
.f0{fill:#2f6fed}.f1{fill:#12a594}.f2{fill:#e5824a}.f3{fill:#8b5cf6}.f4{fill:#d6409f}.f5{fill:#4a9d4f}.f6{fill:#c99a1b}.f7{fill:#6b7a90}
.step{max-width:38rem;max-height:9rem;overflow:auto;overflow-wrap:anywhere}
.pages{display:flex;flex-wrap:wrap;gap:.6rem;align-items:center;margin:1rem 0 0;color:var(--dim);font-size:.9rem}
.pages a{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.35rem .85rem}
.empty{padding:2.25rem 1rem;text-align:center;color:var(--dim);margin:0}
footer.wrap{color:var(--dim);font-size:.8rem;padding-bottom:2rem}
@media (max-width:40rem){
.wrap{padding:0 .85rem}h1{font-size:1.35rem}th,td{padding:.55rem .7rem}
.rows thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.rows,.rows tbody,.rows tr,.rows th,.rows td{display:block;width:auto}
.rows tbody tr{border-bottom:1px solid var(--line);padding:.55rem 0}.rows tbody tr:last-child{border-bottom:0}
.rows tbody th,.rows tbody td{border:0;padding:.1rem .85rem;text-align:left}
.rows td[data-label]::before{content:attr(data-label) " ";color:var(--dim);font-size:.8rem}
.rows td:has(.chips) .chips{display:inline-flex}
.pairs,.pairs tbody,.pairs tr,.pairs th,.pairs td{display:block;width:auto}.pairs thead{display:none}
.pairs tbody tr{border-bottom:1px solid var(--line);padding:.4rem 0}.pairs tbody th,.pairs tbody td{border:0;padding:.05rem .85rem}
.copy button{min-width:0}.facts{gap:.75rem 1rem}}
`;

/** Without it everything works; with it, what is written is found at once, and commands are copied. */
export const SCRIPT = `
for (const button of document.querySelectorAll('button[data-copy]')) {
  button.hidden = !navigator.clipboard;
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    const before = button.textContent;
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = before; }, 1500);
  });
}
const search = document.querySelector('input[type=search]');
const rows = document.querySelectorAll('tr[data-name]');
search?.addEventListener('input', () => {
  const wanted = search.value.toLowerCase();
  for (const row of rows) row.hidden = !row.dataset.name.toLowerCase().includes(wanted);
});
document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.target.matches('input') || event.ctrlKey || event.metaKey || !search) return;
  event.preventDefault();
  search.focus();
});
`;
