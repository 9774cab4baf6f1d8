// Rows that are chosen with boxes, [data-select]: [data-select-all] takes the page, [data-select-none] lets go, and
// [data-selected] says how many. live.js keeps updates back meanwhile, and CSS shows the bar.
const boxes = () => [...document.querySelectorAll("#main [data-select]")];
let last = null;

function show() {
  const all = boxes();
  const chosen = all.filter((box) => box.checked).length;
  for (const node of document.querySelectorAll("[data-selected]")) {
    const text = chosen.toLocaleString("en-US");
    if (node.textContent !== text) node.textContent = text;
  }
  for (const head of document.querySelectorAll("[data-select-all]")) {
    head.checked = chosen > 0 && chosen === all.length;
    head.indeterminate = chosen > 0 && chosen < all.length;
  }
}

function take(wanted) {
  for (const box of boxes()) box.checked = wanted;
  show();
  document.dispatchEvent(new Event("change"));
}

document.addEventListener("change", (event) => {
  if (event.target.matches?.("[data-select-all]")) take(event.target.checked);
  else show();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-select-none]")) take(false);
  const box = event.target.closest("[data-select]");
  if (!box) return;
  // With shift, everything between the last box and this one.
  const all = boxes();
  if (event.shiftKey && all.includes(last)) {
    const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
    for (const one of all.slice(from, to + 1)) one.checked = box.checked;
  }
  last = box;
});

document.addEventListener("htmx:after:swap", show);
// A browser that comes back to a page restores the boxes, but says nothing of it.
addEventListener("pageshow", show);
show();
