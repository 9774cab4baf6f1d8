// Keyboard: / search, f filter, g then a letter goes places, j k rows, Enter opens, x selects, r reads again, t theme,
// ? help. A page's own: [data-key="n"] on a link or button presses it, and stands in the help by its label.
import { open } from "./dialogs.js";
import { search } from "./search.js";

const OFF = "aerodash_keys"; // a cookie: single-key shortcuts are off in this browser (WCAG 2.1.4)
const GO_MS = 1000;
const help = document.getElementById("keys");
let goUntil = 0;
let cursor = { id: "", at: -1 };

const isOff = () => document.cookie.split("; ").includes(`${OFF}=off`);

function isTyping(target) {
  return target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]") !== null;
}

function rows() {
  return [...document.querySelectorAll("#main [data-row]")].filter((row) => row.checkVisibility());
}

// The row that the cursor stands on. If a push took it away, the one that came in its place.
function current(all) {
  const at = all.findIndex((row) => row.hasAttribute("data-cursor"));
  return at >= 0 ? at : cursor.id && all.findIndex((row) => row.dataset.row === cursor.id);
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  let at = current(all);
  if (at === "" || at < 0) at = cursor.at < 0 ? (step > 0 ? -1 : all.length) : cursor.at - Math.max(step, 0);
  const to = Math.min(Math.max(at + step, 0), all.length - 1);
  all.forEach((row) => row.removeAttribute("data-cursor"));
  const row = all[to];
  row.setAttribute("data-cursor", "");
  cursor = { id: row.dataset.row, at: to };
  const link = row.querySelector("a[href]");
  if (!link) row.tabIndex = -1;
  (link ?? row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function pick(selector) {
  return document.querySelector(`#main [data-row][data-cursor] ${selector}`);
}

// Enter: the focus is on the row's link already, unless x or a push took it elsewhere.
function enter(event) {
  if (event.target.closest("a, button, summary, input, dialog")) return false;
  const link = pick("a[href]");
  link?.click();
  return Boolean(link);
}

const ACTIONS = {
  "/": search,
  f: () => document.querySelector("#main [data-search]")?.focus(),
  g: () => { goUntil = Date.now() + GO_MS; },
  j: () => move(1),
  k: () => move(-1),
  x: () => pick("[data-select]")?.click(),
  r: () => location.reload(),
  t: () => document.querySelector("[data-theme-form]")?.requestSubmit(),
  "?": () => open("keys"),
};

function go(key) {
  const link = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
  link?.click();
  return Boolean(link);
}

function own(key) {
  const control = document.querySelector(`#main [data-key="${CSS.escape(key)}"]`);
  control?.click();
  return Boolean(control);
}

// Esc closes what is open, the innermost first. Dialogs and popovers the browser closes by itself.
function close(target) {
  if (document.querySelector("dialog[open], :popover-open")) return;
  const fold = target.closest("details[open].ad-switch, details[open][data-pauses]") ?? document.querySelector("details[open].ad-switch");
  if (fold) {
    fold.open = false;
    fold.querySelector("summary").focus();
  } else if (isTyping(target)) target.blur();
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const { key, target } = event;
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && key.toLowerCase() === "k") {
    event.preventDefault();
    search();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (key === "Escape") close(target);
  if (isTyping(target) || document.querySelector("dialog[open]")) return;
  if (key === "Enter") {
    if (enter(event)) event.preventDefault();
    return;
  }
  if (isOff()) return;
  const going = Date.now() < goUntil;
  goUntil = 0;
  if ((going && go(key)) || act(key)) event.preventDefault();
});

function act(key) {
  if (own(key)) return true;
  ACTIONS[key]?.();
  return key in ACTIONS;
}

document.addEventListener("click", (event) => {
  const switcher = document.querySelector(".ad-switch[open]");
  if (switcher && !switcher.contains(event.target)) switcher.open = false;
});

// The help names what this page has, and no more.
help?.addEventListener("aerodash:opens", () => {
  for (const line of help.querySelectorAll("[data-needs]")) line.hidden = document.querySelector(line.dataset.needs) === null;
  help.querySelectorAll("[data-own]").forEach((line) => line.remove());
  for (const control of document.querySelectorAll("#main [data-key]")) {
    const line = document.createElement("div");
    line.dataset.own = "";
    line.append(document.createElement("dt"), document.createElement("dd"));
    const key = document.createElement("kbd");
    key.textContent = control.dataset.key;
    line.firstChild.append(key);
    line.lastChild.textContent = (control.getAttribute("aria-label") ?? control.textContent).trim();
    help.querySelector("dl").append(line);
  }
});

const box = document.querySelector("[data-keys-off]");
if (box) {
  box.checked = isOff();
  box.addEventListener("change", () => {
    document.cookie = `${OFF}=${box.checked ? "off" : "on"}; path=/; max-age=31536000; samesite=lax`;
  });
}
