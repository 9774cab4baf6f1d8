// Keyboard: / search, g then a letter goes places, j k rows, Enter opens, r reads again, t theme, ? help.
const OFF = "aerodash-keys-off";
const dialog = document.getElementById("keys");
let goUntil = 0;

function isTyping(target) {
  return target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]") !== null;
}

function rows() {
  return [...document.querySelectorAll("#main tbody tr[data-row]")];
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.hasAttribute("data-cursor"));
  const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1)];
  all[at]?.removeAttribute("data-cursor");
  next.setAttribute("data-cursor", "");
  const link = next.querySelector("a[href]");
  (link ?? next).focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function closeSwitcher() {
  const switcher = document.querySelector(".ad-switch[open]");
  if (!switcher) return;
  switcher.open = false;
  switcher.querySelector("summary").focus();
}

const ACTIONS = {
  "/": () => document.querySelector("#main [data-search]")?.focus(),
  g: () => { goUntil = Date.now() + 1000; },
  j: () => move(1),
  k: () => move(-1),
  r: () => location.reload(),
  t: () => document.querySelector("[data-theme-form]")?.requestSubmit(),
  "?": () => dialog?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key === "Escape" && isTyping(event.target)) event.target.blur();
  if (event.key === "Escape") closeSwitcher();
  if (localStorage.getItem(OFF) || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (Date.now() < goUntil) {
    goUntil = 0;
    const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) {
      event.preventDefault();
      link.click();
      return;
    }
  }
  const action = ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

document.querySelector("[data-keys]")?.addEventListener("click", () => dialog.showModal());
const box = document.querySelector("[data-keys-off]");
if (box) {
  box.checked = Boolean(localStorage.getItem(OFF));
  box.addEventListener("change", () => (box.checked ? localStorage.setItem(OFF, "1") : localStorage.removeItem(OFF)));
}
